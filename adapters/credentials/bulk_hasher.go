package credentials

import "runtime"

// NewBulk answers a hasher for bulk loads, which have the machine to themselves: as many hashes at a time as there are cores.
func NewBulkHasher(p HashParams) *Hasher {
	h := NewHasher(p)
	h.turns = make(chan struct{}, runtime.NumCPU())
	return h
}
