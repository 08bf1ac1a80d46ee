// Package guides embeds the guides of the developer portal: Markdown, by language and name. adapters/rest/portal
// renders them.
package guides

import "embed"

// Files holds the guides: en/start.md is one.
//
//go:embed en/*.md ko/*.md
var Files embed.FS
