package freshness

// Source tells a customer where an answer came from.
type Source string

// The sources.
const (
	FromKOS   Source = "KOS"
	FromCache Source = "CACHE"
	FromStale Source = "STALE" // KOS cannot answer now; the copy is older than it should be (ADR 23)
)
