// Package core holds the business of phonebill: log in, see a bill, change a plan.
//
// It has two kinds of packages, and arch_test.go checks what they import:
//
//   - nouns (core/<context>, such as core/auth, core/bill, core/product, core/request and core/delivery, and the leaves
//     that they are made of, such as fault, money, line and id) hold types and rules. They import the standard library
//     and other nouns only, and know neither context.Context nor I/O, clocks or logs.
//   - verbs (core/<context>/<use case>) are the use cases. They import nouns, other verbs and the ports package.
//
// Nothing in core imports an adapter. docs/architecture.md follows four journeys through the files. Begin with Ask
// (bill/inquiry/ask.go).
package core
