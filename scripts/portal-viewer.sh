#!/usr/bin/env bash
# Takes the viewer of the API reference, Scalar's standalone bundle, from npm at a pinned version and writes it,
# gzipped, into adapters/rest/portal/assets, with the licences of all packages that its source map names. SHA256 is
# that of the bundle as npm has it; a test holds the committed file against it. Building phonebill needs neither this
# nor node.
set -euo pipefail
cd "$(dirname "$0")/.."

VERSION=1.76.0
SHA256=dcb027152bf20bf2f6dcd66e8f9fb073c1a9e274cf0b94b939a7d99ab8947060

to=$PWD/adapters/rest/portal/assets
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --prefix "$tmp" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
  --omit=dev "@scalar/api-reference@$VERSION" >/dev/null
from=node_modules/@scalar/api-reference/dist/browser
echo "$SHA256  $from/standalone.js" | sha256sum --check --quiet
gzip -9 --no-name --stdout "$from/standalone.js" >"$to/scalar.js.gz"
echo "$SHA256  @scalar/api-reference@$VERSION dist/browser/standalone.js" >"$to/scalar.sha256"

cat >licences.cjs <<'JS'
const fs = require('fs'), path = require('path'), { execFileSync } = require('child_process')
const names = new Set()
for (const source of JSON.parse(fs.readFileSync(process.argv[2])).sources) {
  const at = source.lastIndexOf('node_modules/')
  if (at < 0) continue // Scalar's own
  const [scope, name] = source.slice(at + 'node_modules/'.length).split('/')
  names.add(scope.startsWith('@') ? scope + '/' + name : scope)
}
const mit = fs.readFileSync('node_modules/vue/LICENSE', 'utf8').replace(/^[^]*?Copyright[^\n]*\n/, '')
const texts = new Map([['The MIT License (MIT)\n\nCopyright (c) 2023-present Scalar\n' + mit, ['@scalar/*']]])
const folders = fs.readdirSync('node_modules', { recursive: true })
  .filter((f) => f.endsWith(path.sep + 'package.json') || /^[^/]+\/package\.json$/.test(f))
for (const name of [...names].sort()) {
  if (name.startsWith('@scalar/')) continue
  let dir = folders.map((f) => path.dirname(f)).find((f) => f === name || f.endsWith('node_modules/' + name))
  if (dir) {
    dir = path.join('node_modules', dir)
  } else { // it was needed to build the bundle alone
    execFileSync('npm', ['install', '--prefix', 'more', '--ignore-scripts', '--loglevel=error', name])
    dir = path.join('more/node_modules', name)
  }
  const about = JSON.parse(fs.readFileSync(path.join(dir, 'package.json')))
  const file = fs.readdirSync(dir).find((f) => /^licen[cs]e/i.test(f))
  const author = typeof about.author === 'object' ? about.author.name : about.author
  const text = (file
    ? fs.readFileSync(path.join(dir, file), 'utf8')
    : `${about.license} (the package has no licence file)\n\nCopyright (c) ${author ?? 'the authors of ' + name}\n` +
      (about.license === 'MIT' ? mit : '')).replace(/\r/g, '').trim() + '\n'
  texts.set(text, [...(texts.get(text) ?? []), name + '@' + about.version])
}
const viewer = '@scalar/api-reference ' + process.argv[3]
console.log('The viewer of the API reference is ' + viewer + '. It contains these packages.')
for (const [text, packages] of texts) {
  console.log('\n' + '='.repeat(80) + '\n' + packages.join('\n') + '\n\n' + text.trim())
}
JS
node licences.cjs "$from/standalone.js.map" "$VERSION" >"$to/scalar.licences.txt"
