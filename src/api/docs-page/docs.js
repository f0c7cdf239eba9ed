// Shows the OpenAPI document of this server. Text is only ever set as text: nothing of the document becomes markup.

const document_ = await (await fetch('/api/v1/openapi.json')).json()
const prefix = document_.servers[0].url

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.append(...children.filter((child) => child !== null))
  return made
}

function schemaText(schema, depth = 0) {
  if (schema === undefined || schema === true) return 'anything'
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1)
    return depth === 0 ? schemaText(document_.components.schemas[name], 0) : name
  }
  if (schema.anyOf) return schema.anyOf.map((each) => schemaText(each, depth)).join(' | ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.type === 'array') return `[ ${schemaText(schema.items, depth + (schema.items?.$ref ? 0 : 1))} ]`
  if (schema.type === 'object' && schema.properties) {
    const indent = '  '.repeat(depth + 1)
    const required = schema.required ?? []
    const lines = Object.entries(schema.properties).map(([name, property]) => {
      const mark = required.includes(name) ? '' : '?'
      const said = property.description ? `  // ${property.description}` : ''
      return `${indent}${name}${mark}: ${schemaText(property, depth + 1)}${said}`
    })
    return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`
  }
  if (schema.type === 'object') return '{ [name]: string }'
  return schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? 'anything')
}

function parameterTable(parameters) {
  if (parameters.length === 0) return null
  const rows = parameters.map((parameter) =>
    element(
      'tr',
      {},
      element('td', {}, element('code', {}, parameter.name)),
      element('td', {}, `${parameter.in}${parameter.required ? ', required' : ''}`),
      element('td', {}, element('code', {}, schemaText(parameter.schema, 1))),
      element('td', {}, parameter.description ?? ''),
    ),
  )
  const head = ['name', 'in', 'type', ''].map((title) => element('th', {}, title))
  return element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows))
}

function exampleText(method, path, example) {
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(example.params?.[name] ?? name))
  const query = new URLSearchParams(
    Object.entries(example.query ?? {}).map(([name, value]) => [name, String(value)]),
  )
  const target = `${location.origin}${prefix}${filled}${query.size > 0 ? `?${query}` : ''}`
  const lines = [
    `curl -H "Authorization: Bearer $TOKEN" ${method === 'get' ? '' : `-X ${method.toUpperCase()} `}'${target}'`,
  ]
  if (example.body !== undefined) {
    lines.push(
      `  -H 'Content-Type: application/json' -d '${JSON.stringify(example.body).replaceAll("'", "'\\''")}'`,
    )
  }
  return `# ${example.summary}\n${lines.join(' \\\n')}`
}

function operationArticle(path, method, operation) {
  const answer = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))
  const schema = answer?.[1].content?.['application/json']?.schema
  const body = operation.requestBody?.content?.['application/json']?.schema
  const article = element(
    'article',
    { id: operation.operationId },
    element(
      'h3',
      {},
      element('span', { class: `method ${method}` }, method.toUpperCase()),
      element('code', {}, `${prefix}${path}`),
    ),
    element('p', {}, operation.summary + (operation.description ? `. ${operation.description}` : '')),
    element(
      'p',
      { class: 'facts' },
      `${operation['x-roles'].length === 0 ? 'Needs no account.' : `Needs ${operation['x-permission']}: ${operation['x-roles'].join(', ')}.`} In the client: ${operation.operationId}.`,
    ),
    parameterTable(operation.parameters),
    body ? element('h4', {}, 'Body') : null,
    body ? element('pre', {}, schemaText(body)) : null,
    answer ? element('h4', {}, `Answer ${answer[0]}`) : null,
    schema ? element('pre', {}, schemaText(schema)) : null,
    element('h4', {}, 'Examples'),
    ...operation['x-examples'].map((example) => element('pre', {}, exampleText(method, path, example))),
  )
  article.dataset.words =
    `${path} ${method} ${operation.operationId} ${operation.summary} ${operation['x-permission']}`.toLowerCase()
  return article
}

const about = document.getElementById('about')
about.textContent = `Version ${document_.info.version}. ${document_.info.description.replaceAll('`', '')} `
about.append(element('a', { href: '/api/v1/openapi.json' }, 'OpenAPI 3.1 document'))

const contents = document.getElementById('contents')
const operations = document.getElementById('operations')
for (const { name } of document_.tags) {
  const list = element('ul')
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      if (!operation.tags.includes(name)) continue
      operations.append(operationArticle(path, method, operation))
      list.append(
        element('li', {}, element('a', { href: `#${operation.operationId}` }, operation.operationId)),
      )
    }
  }
  contents.append(element('h2', {}, name), list)
}

document.getElementById('search').addEventListener('input', ({ target }) => {
  const words = target.value.toLowerCase().split(/\s+/)
  for (const article of operations.children) {
    article.hidden = !words.every((word) => article.dataset.words.includes(word))
  }
})

if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView()
