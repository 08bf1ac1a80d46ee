package ports

import (
	"context"

	"phonebill/core/sealing"
)

// LineIndex is the one purpose under which line numbers are blind-indexed, in every database and in the cache, so that
// one line has one index everywhere (an epoch raised in the kos database drops a bill cached elsewhere).
const LineIndex = "line"

// Vault keeps personal data unreadable at rest (AES-256-GCM) and findable by equality (keyed HMAC). Ciphertexts carry
// the id of their key, so keys rotate without rewriting.
type Vault interface {
	// Seal encrypts for a place. Which form is written (bound to the column, or to the row) is the vault's affair.
	// SERVICE_UNAVAILABLE while the database has not said which one it holds, unless the place has no keys.
	Seal(at sealing.Place, clear []byte) ([]byte, error)
	// Open decrypts what stands at the place, in either form unless the older one is refused. Anything that was not
	// sealed by this vault for this place is an error, and raises an alert.
	Open(at sealing.Place, sealed []byte) ([]byte, error)
	// Form returns how values are bound to their places at present.
	Form() sealing.Form
	// Refuse raises the alert that what opened at the place does not belong there, and returns why.
	Refuse(at sealing.Place, why error) error
	// Index is a blind index: equal values of one purpose have equal indexes, and nothing else can be learned from it.
	// 32 bytes.
	Index(purpose, value string) []byte
}

// Sealer is the one stored form of T: versioned, encrypted, the same in PostgreSQL and in the cache but for the place
// it is bound to.
type Sealer[T any] interface {
	// Seal returns the stored form for a place.
	Seal(at sealing.Place, v T) ([]byte, error)
	// Open reads what stands at the place, in a stored form of this or an older version.
	Open(at sealing.Place, sealed []byte) (T, error)
	// Reseal returns what stands at the place bound to its row, with the content and the version that it has.
	Reseal(at sealing.Place, sealed []byte) ([]byte, error)
	// Bound returns whether the stored form is bound to its row.
	Bound(sealed []byte) bool
}

// SealingForm is which form a database's sealed values have. It only moves on.
type SealingForm interface {
	// Form returns the form that the database's instances are to write.
	Form(ctx context.Context) (sealing.Form, error)
	// Raise moves the form on; one that is there already, or a later one, stays.
	Raise(ctx context.Context, to sealing.Form) error
}

// SealedRows are the rows of one table that hold sealed values.
type SealedRows interface {
	// Table is database.table.
	Table() string
	// Count returns about how many rows there are.
	Count(ctx context.Context) (int, error)
	// Reseal examines the next rows after the place (empty = the first), n at most, and seals those of form Column
	// anew, bound to their rows. A row that another transaction changes meanwhile stays as that wrote it. It may be
	// called again for the same rows.
	Reseal(ctx context.Context, after string, n int) (sealing.Batch, error)
}
