/**
 * The pieces of the configuration schema. They are JSON Schema with a few words of our own (`unit`, `secret`, durations),
 * written as plain objects because loading TypeBox costs 135 ms at every command; `json-schema.ts` turns them into JSON
 * Schema proper, and its test holds our reading of them against TypeBox's validator.
 */

interface Described {
  /** What it is for, and why the default and the range are what they are. */
  readonly description: string
  /** Never printed: `config print` masks it; may also come from a file named by …_FILE. */
  readonly secret?: true
  /** Unit of a number. */
  readonly unit?: string
  /** A right value, for error messages. */
  readonly example?: string
}

export interface IntegerKnob extends Described {
  readonly type: 'integer'
  readonly minimum: number
  readonly maximum: number
  readonly default: number
}

export interface FlagKnob extends Described {
  readonly type: 'boolean'
  readonly default: boolean
}

export interface TextKnob<Default extends string | null = string | null> extends Described {
  readonly type: 'string'
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly default: Default
}

/** `"90d"` in the file, milliseconds under the key with `Ms` at its end once loaded. */
export interface DurationKnob extends Described {
  readonly type: 'string'
  readonly format: 'duration'
  readonly shortest: string
  readonly longest: string
  readonly default: string
  /** Word for "there is none" (`never`), loaded as null. */
  readonly none?: string
}

export interface ChoiceKnob<Value extends string = string> extends Described {
  readonly type: 'string'
  readonly enum: readonly Value[]
  readonly default: Value
}

export interface ListKnob<Value extends string = string> extends Described {
  readonly type: 'array'
  readonly items: { readonly type: 'string'; readonly enum?: readonly Value[]; readonly pattern?: string }
  readonly default: readonly Value[]
}

export type Knob = IntegerKnob | FlagKnob | TextKnob | DurationKnob | ChoiceKnob | ListKnob

export interface Section {
  readonly type: 'object'
  readonly description: string
  readonly properties: { readonly [key: string]: Knob | Section }
  readonly additionalProperties: false
}

/** What a loaded configuration holds for a part of the schema. */
export type Loaded<Part> = Part extends { readonly properties: infer Properties }
  ? {
      readonly [
        Key in keyof Properties as Properties[Key] extends DurationKnob ? `${Key & string}Ms` : Key
      ]: Loaded<Properties[Key]>
    }
  : Part extends { readonly type: 'integer' } | { readonly format: 'duration' }
    ? Part extends { readonly none: string }
      ? number | null
      : number
    : Part extends { readonly type: 'boolean' }
      ? boolean
      : Part extends ListKnob<infer Value>
        ? readonly Value[]
        : Part extends ChoiceKnob<infer Value>
          ? Value
          : Part extends TextKnob<infer Default>
            ? Default extends null
              ? string | null
              : string
            : never

export function section<Properties extends Section['properties']>(
  description: string,
  properties: Properties,
): { type: 'object'; description: string; properties: Properties; additionalProperties: false } {
  return { type: 'object', description, properties, additionalProperties: false }
}

export function integer(knob: Omit<IntegerKnob, 'type'>): IntegerKnob {
  return { type: 'integer', ...knob }
}

export function flag(knob: Omit<FlagKnob, 'type'>): FlagKnob {
  return { type: 'boolean', ...knob }
}

export function text(knob: Omit<TextKnob<string>, 'type'>): TextKnob<string> {
  return { type: 'string', ...knob }
}

/** A text that may be absent: its default is null. */
export function optionalText(knob: Omit<TextKnob<null>, 'type' | 'default'>): TextKnob<null> {
  return { type: 'string', default: null, ...knob }
}

export function duration(knob: Omit<DurationKnob, 'type' | 'format' | 'none'>): Omit<DurationKnob, 'none'> {
  return { type: 'string', format: 'duration', ...knob }
}

export function durationOrNone(
  knob: Omit<DurationKnob, 'type' | 'format'> & { none: string },
): DurationKnob & { none: string } {
  return { type: 'string', format: 'duration', ...knob }
}

export function choice<const Value extends string>(knob: Omit<ChoiceKnob<Value>, 'type'>): ChoiceKnob<Value> {
  return { type: 'string', ...knob }
}

export function list(knob: { items?: string } & Described & { default: readonly string[] }): ListKnob {
  const { items, ...rest } = knob
  return { type: 'array', items: items ? { type: 'string', pattern: items } : { type: 'string' }, ...rest }
}

export function choices<const Value extends string>(
  knob: Described & { enum: readonly Value[]; default: readonly Value[] },
): ListKnob<Value> {
  const { enum: allowed, ...rest } = knob
  return { type: 'array', items: { type: 'string', enum: allowed }, ...rest }
}
