package ports

// LineIndex is the one purpose under which line numbers are blind-indexed, in every database and in the cache, so that one line has
// one index everywhere (an epoch raised in the kos database drops a bill cached elsewhere).
const LineIndex = "line"

// Vault keeps personal data unreadable at rest (AES-256-GCM) and findable by equality (keyed HMAC). Ciphertexts carry the id
// of their key, so keys rotate without rewriting.
type Vault interface {
	// Seal encrypts. purpose is bound in (a table and column, a cache key): what was sealed for one cannot be opened as another.
	Seal(purpose string, clear []byte) ([]byte, error)
	// Open decrypts; anything not sealed by this vault for this purpose is an error.
	Open(purpose string, sealed []byte) ([]byte, error)
	// Index is a blind index: equal values of one purpose have equal indexes, and nothing else can be told from it. 32 bytes.
	Index(purpose, value string) []byte
}

// Sealer is the one stored form of T: versioned, encrypted, the same in PostgreSQL and in the cache.
type Sealer[T any] interface {
	// Seal answers the stored form.
	Seal(v T) ([]byte, error)
	// Open reads a stored form of this or an older version.
	Open(sealed []byte) (T, error)
}
