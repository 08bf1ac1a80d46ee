package argon2

import "runtime"

// NewBulk answers a hasher for bulk loads, which have the machine to themselves: as many hashes at a time as there are cores.
func NewBulk(p Params) *Hasher {
	h := New(p)
	h.turns = make(chan struct{}, runtime.NumCPU())
	return h
}
