// Package openapi embeds the specifications of our own APIs, so that what a service enforces at run time is the file
// that is published. adapters/rest/contract reads them.
package openapi

import "embed"

// The specifications by file name.
const (
	Auth       = "auth.yaml"
	Bill       = "bill.yaml"
	Product    = "product.yaml"
	Operations = "operations.yaml"
	Internal   = "internal.yaml"
	Common     = "common.yaml" // what the others share: schemas, parameters, error answers; no paths
)

// Files holds the specifications under the names above.
//
//go:embed auth.yaml bill.yaml product.yaml operations.yaml internal.yaml common.yaml
var Files embed.FS
