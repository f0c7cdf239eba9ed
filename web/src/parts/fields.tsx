/** Fields of forms: a label, the control, a line of help. */
import { useId, type InputHTMLAttributes, type ReactNode } from 'react'

interface FieldProps {
  readonly label: string
  readonly help?: ReactNode
}

type InputProps = FieldProps &
  Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value'> & {
    readonly value: string
    readonly onValue: (value: string) => void
  }

export function TextField({ label, help, value, onValue, ...rest }: InputProps): ReactNode {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        value={value}
        aria-describedby={help === undefined ? undefined : `${id}-help`}
        onChange={(event) => onValue(event.target.value)}
        {...rest}
      />
      {help !== undefined && (
        <span id={`${id}-help`} className="help">
          {help}
        </span>
      )}
    </div>
  )
}

interface TextAreaProps extends FieldProps {
  readonly value: string
  readonly rows?: number
  readonly onValue: (value: string) => void
}

export function TextArea({ label, help, value, rows = 3, onValue }: TextAreaProps): ReactNode {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        className="input"
        rows={rows}
        value={value}
        onChange={(event) => onValue(event.target.value)}
      />
      {help !== undefined && <span className="help">{help}</span>}
    </div>
  )
}

interface SelectProps extends FieldProps {
  readonly value: string
  readonly options: readonly (readonly [value: string, label: string])[]
  readonly onValue: (value: string) => void
}

export function SelectField({ label, help, value, options, onValue }: SelectProps): ReactNode {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} className="input" value={value} onChange={(event) => onValue(event.target.value)}>
        {options.map(([each, name]) => (
          <option key={each} value={each}>
            {name}
          </option>
        ))}
      </select>
      {help !== undefined && <span className="help">{help}</span>}
    </div>
  )
}

interface CheckProps {
  readonly label: ReactNode
  readonly isOn: boolean
  readonly onValue: (isOn: boolean) => void
}

export function CheckField({ label, isOn, onValue }: CheckProps): ReactNode {
  return (
    <label className="choice">
      <input type="checkbox" checked={isOn} onChange={(event) => onValue(event.target.checked)} />
      <span>{label}</span>
    </label>
  )
}
