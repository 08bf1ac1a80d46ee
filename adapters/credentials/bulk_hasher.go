package credentials

import "runtime"

// NewBulkHasher returns a hasher for bulk imports, which have the machine to themselves: as many hashes at a time as
// there are cores.
func NewBulkHasher(p HashParams) *Hasher {
	h := NewHasher(p)
	h.turns = make(chan struct{}, runtime.NumCPU())
	return h
}
