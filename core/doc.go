// Package core holds the business of phonebill: log in, see a bill, change a plan.
//
// It has two kinds of packages and one law (arch_test.go):
//
//   - nouns (core/auth, core/bill, core/product, core/delivery and the leaves fault, money, line, calendar,
//     personal, id, freshness, quota) hold types and rules. They import the standard library and other nouns
//     only, and know neither context.Context nor I/O, clocks or logs.
//   - verbs (core/<context>/<use case>) are the use cases. They import nouns and the ports package.
//
// Nothing in core imports an adapter.
package core
