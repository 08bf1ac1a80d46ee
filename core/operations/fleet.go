package operations

import "slices"

// Fleet is all instances of one service in sum.
type Fleet struct {
	Service                                string
	Ready, NotReady, Draining, Unreachable int
	Unknown                                int      // reached, of a release that does not say whether it is ready
	Releases                               []string // that run now, each once, in the order of the instances
}

// Found returns how many instances there are, reached or not.
func (f Fleet) Found() int { return f.Ready + f.NotReady + f.Draining + f.Unreachable + f.Unknown }

// Fleets adds up the instances of each service, in the order in which the services turn up.
func Fleets(all []Answer) []Fleet {
	var fleets []Fleet
	for _, a := range all {
		at := slices.IndexFunc(fleets, func(f Fleet) bool { return f.Service == a.Service })
		if at < 0 {
			at, fleets = len(fleets), append(fleets, Fleet{Service: a.Service})
		}
		fleets[at].add(a)
	}
	return fleets
}

func (f *Fleet) add(a Answer) {
	if a.Trouble != "" {
		f.Unreachable++
		return
	}
	switch a.Status.Process.Readiness {
	case Ready:
		f.Ready++
	case NotReady:
		f.NotReady++
	case Draining:
		f.Draining++
	default:
		f.Unknown++
	}
	if r := a.Status.Process.Release; r != "" && !slices.Contains(f.Releases, r) {
		f.Releases = append(f.Releases, r)
	}
}
