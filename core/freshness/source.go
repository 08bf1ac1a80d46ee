package freshness

// Source says where an answer came from.
type Source string

// The sources.
const (
	FromKOS   Source = "KOS"
	FromCache Source = "CACHE"
	FromStale Source = "STALE" // KOS cannot answer now; the copy is stale (ADR 23)
)
