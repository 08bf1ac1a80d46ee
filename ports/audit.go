package ports

import (
	"context"

	"phonebill/core/audit"
	"phonebill/core/id"
)

// AuditLog is append-only and hash-chained per writer (ADR 26).
type AuditLog interface {
	// Append adds the entry to this process's chain: it is durable when nil is returned. The entries of one chain
	// follow each other without gaps. After an error the entry may or may not be in the chain, and the chain is whole
	// either way.
	Append(ctx context.Context, e audit.Entry) error
}

// AuditTrail reads and attests the audit log.
type AuditTrail interface {
	// Rows yields every row of every chain, writer by writer and in order; an error of yield ends it and is returned.
	Rows(ctx context.Context, yield func(audit.Row) error) error
	// RowsOf yields the rows of one chain above after, in order; an error of yield ends it and is returned.
	RowsOf(ctx context.Context, writer id.ID, after int, yield func(audit.Row) error) error
	// Heads returns the last row of every chain, by writer.
	Heads(ctx context.Context) ([]audit.Head, error)
	// Checkpoints returns those with a number above after, oldest first.
	Checkpoints(ctx context.Context, after int) ([]audit.Checkpoint, error)
	// AddCheckpoint stores it, or CONFLICT when there is one with its number: another instance was faster.
	AddCheckpoint(ctx context.Context, c audit.Checkpoint) error
}

// AuditPages lets a person read the audit log.
type AuditPages interface {
	// Page returns one page of the entries that match, the newest first, and how many match (at most audit.MaxCounted).
	// It checks no chain.
	Page(ctx context.Context, f audit.Filter) ([]audit.Entry, int, error)
}

// Signer signs statements with a signing key of the token issuer, and verifies its signatures, also those of keys that
// do not sign any more.
type Signer interface {
	// Sign returns the signature and the name of its key.
	Sign(ctx context.Context, statement []byte) (keyID string, signature []byte, err error)
	// Signed reports whether the key of that name signed the statement; an unknown key did not.
	Signed(ctx context.Context, keyID string, statement, signature []byte) (bool, error)
}
