// Package compose has below it the wiring of each program, one package a deployable that reads like a diagram from top
// to bottom: begin with billinquiry/billinquiry.go. What several need is in service (every service), stores (those that
// keep data) and links (those that call KOS), so that each program links only what it needs.
//
// A deployable's Config is its environment (boot.Config). Here are the tests of all of them together: the table in
// docs/configuration.md is generated from the structs, no service starts with weakened security, none links what it
// does not need.
package compose
