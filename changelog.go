// Package phonebill embeds the changelog, which the developer portal shows.
package phonebill

import _ "embed"

// Changelog is CHANGELOG.md.
//
//go:embed CHANGELOG.md
var Changelog []byte
