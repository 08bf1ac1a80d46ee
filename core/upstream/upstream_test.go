package upstream_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/upstream"
)

var start = time.Date(2026, 3, 15, 1, 30, 0, 0, time.UTC)

func TestHealthFollowsTheProbes(t *testing.T) {
	t.Parallel()
	const good, refused, failed = upstream.ProbeGood, upstream.ProbeRefused, upstream.ProbeFailed
	for name, c := range map[string]struct {
		probes []upstream.Probe
		want   upstream.State
	}{
		"new":                    {nil, upstream.Up},
		"one failure is chance":  {[]upstream.Probe{failed}, upstream.Up},
		"two are not":            {[]upstream.Probe{failed, failed}, upstream.Away},
		"not in a row":           {[]upstream.Probe{failed, good, failed}, upstream.Up},
		"it drains":              {[]upstream.Probe{refused}, upstream.Refusing},
		"it drained and went":    {[]upstream.Probe{refused, failed, failed}, upstream.Away},
		"it drained, once mute":  {[]upstream.Probe{refused, failed}, upstream.Refusing},
		"back after one success": {[]upstream.Probe{failed, failed, failed, good}, upstream.Up},
	} {
		i := upstream.Started()
		for _, p := range c.probes {
			i = i.Probed(upstream.Default(), p, start)
		}
		require.Equal(t, c.want, i.State(start), name)
	}
	require.Equal(t, []string{"ready", "not_ready", "down"},
		[]string{upstream.Ready.String(), upstream.NotReady.String(), upstream.Down.String()})
}

// fail is an instance after n failed requests in a row, and how often it was ejected by them.
func fail(i upstream.Instance, n, others int, now time.Time) (after upstream.Instance, ejections int) {
	for range n {
		var ejected bool
		if i, ejected = i.Failed(upstream.Default(), others, now); ejected {
			ejections++
		}
	}
	return i, ejections
}

func TestEachEjectionIsLongerUpToABound(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	i, now := upstream.Started(), start
	var n int
	for times := 1; times <= p.MostTimes+2; times++ {
		i, n = fail(i, p.Ejecting-1, 1, now)
		require.Zero(t, n)
		require.True(t, i.Failing())
		i, n = fail(i, 1, 1, now)
		require.Equal(t, 1, n)
		require.Equal(t, upstream.EjectedUp, i.State(now))
		length := time.Duration(min(times, p.MostTimes)) * p.Ejection
		require.True(t, i.Ejected(now.Add(length-1)), times)
		now = now.Add(length)
		require.False(t, i.Ejected(now), times)
		require.Equal(t, upstream.Up, i.State(now))
	}
	i, n = fail(i, p.Ejecting, 1, now.Add(p.Forgiven))
	require.Equal(t, 1, n)
	require.False(t, i.Ejected(now.Add(p.Forgiven+p.Ejection)), "the earlier ones are forgotten")
}

func TestWhatDoesNotEject(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	_, n := fail(upstream.Started(), 100, 0, start)
	require.Zero(t, n, "the last one stays")
	i, n := fail(upstream.Started(), p.Ejecting-1, 1, start)
	require.Zero(t, n)
	i, n = fail(i.Answered(), p.Ejecting-1, 1, start)
	require.Zero(t, n, "not in a row")
	i, n = fail(i, 2*p.Ejecting, 1, start)
	require.Equal(t, 1, n, "what fails while it is ejected was sent before")
	require.True(t, i.Ejected(start.Add(p.Ejection-1)))
	require.False(t, i.Ejected(start.Add(p.Ejection)))
}

func TestAnEjectionEndsWhenTheInstanceWasStartedAgain(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	i, _ := fail(upstream.Started(), p.Ejecting, 1, start)
	i = i.Probed(p, upstream.ProbeGood, start)
	require.True(t, i.Ejected(start), "good probes alone do not help")
	i = i.Probed(p, upstream.ProbeFailed, start).Probed(p, upstream.ProbeFailed, start)
	i = i.Probed(p, upstream.ProbeGood, start.Add(time.Second))
	require.Equal(t, upstream.Up, i.State(start.Add(time.Second)))
	require.InDelta(t, p.LeastWeight, i.Weight(p, start.Add(time.Second)), 0.001)
	i, n := fail(i, p.Ejecting, 1, start.Add(time.Second))
	require.Equal(t, 1, n)
	require.True(t, i.Ejected(start.Add(time.Second+2*p.Ejection-1)), "it is the second one")
}

func TestTheShareGrows(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	down := upstream.Started().Probed(p, upstream.ProbeRefused, start).Probed(p, upstream.ProbeGood, start)
	ejected, _ := fail(upstream.Started(), p.Ejecting, 1, start.Add(-p.Ejection))
	for name, i := range map[string]upstream.Instance{"new": upstream.Added(start), "back": down, "ejected": ejected} {
		for after, want := range map[time.Duration]float64{
			0: 0.1, 500 * time.Millisecond: 0.1, 5 * time.Second: 0.5, 10 * time.Second: 1, time.Hour: 1,
		} {
			require.InDelta(t, want, i.Weight(p, start.Add(after)), 0.001, "%s after %s", name, after)
		}
	}
	require.InDelta(t, 1, upstream.Started().Weight(p, start), 0)
}

func TestTheBestThatThereIs(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	up := upstream.Started()
	refusing := up.Probed(p, upstream.ProbeRefused, start)
	away := up.Probed(p, upstream.ProbeFailed, start).Probed(p, upstream.ProbeFailed, start)
	ejected, _ := fail(up, p.Ejecting, 1, start)
	for name, c := range map[string]struct {
		all   []upstream.Instance
		use   []int
		state upstream.State
	}{
		"nobody":         {nil, nil, ""},
		"all up":         {[]upstream.Instance{up, up}, []int{0, 1}, upstream.Up},
		"one up":         {[]upstream.Instance{away, refusing, ejected, up}, []int{3}, upstream.Up},
		"ejected":        {[]upstream.Instance{away, refusing, ejected}, []int{2}, upstream.EjectedUp},
		"none is ready":  {[]upstream.Instance{refusing, away, refusing}, []int{0, 2}, upstream.Refusing},
		"all are silent": {[]upstream.Instance{away, away}, []int{0, 1}, upstream.Away},
	} {
		use, state := upstream.Eligible(c.all, start)
		require.Equal(t, c.use, use, name)
		require.Equal(t, c.state, state, name)
	}
}

func TestTheLessLoadedIsPreferred(t *testing.T) {
	t.Parallel()
	full := func(n int64) upstream.Candidate { return upstream.Candidate{InFlight: n, Weight: 1} }
	require.True(t, upstream.Prefer(full(1), full(2), 0.9))
	require.False(t, upstream.Prefer(full(3), full(2), 0.1))
	require.True(t, upstream.Prefer(full(2), full(2), 0.5), "the first of two equals, which are in random order")
	fresh := upstream.Candidate{Weight: 0.25}
	require.True(t, upstream.Prefer(fresh, full(9), 0.2))
	require.False(t, upstream.Prefer(fresh, full(9), 0.25))
	require.False(t, upstream.Prefer(full(9), fresh, 0.2))
	require.True(t, upstream.Prefer(full(9), fresh, 0.25))
	require.True(t, upstream.Prefer(fresh, fresh, 0.99), "two that are new share alike")
}

// TestAnythingMayHappen plays random events: there is always an instance to ask, and the last one that takes requests
// is never ejected.
func TestAnythingMayHappen(t *testing.T) {
	t.Parallel()
	p := upstream.Default()
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := make([]upstream.Instance, 1+random.IntN(4))
		now := start
		for range 500 {
			n := random.IntN(len(all))
			up := 0
			for m, i := range all {
				if m != n && i.State(now) == upstream.Up {
					up++
				}
			}
			switch random.IntN(8) {
			case 0:
				all[n] = all[n].Probed(p, upstream.Probe(random.IntN(3)), now)
			case 1:
				all[n] = all[n].Answered()
			case 2:
				now = now.Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
			default:
				var ejected bool
				all[n], ejected = all[n].Failed(p, up, now)
				require.False(t, ejected && up == 0, "seed %d: the last one is ejected", seed)
			}
			use, state := upstream.Eligible(all, now)
			require.NotEmpty(t, use, "seed %d", seed)
			for m, i := range all {
				w := i.Weight(p, now)
				if w < p.LeastWeight || w > 1 || (i.State(now) == state) != slices.Contains(use, m) {
					require.FailNow(t, "wrong", "seed %d: %d of %v with share %f", seed, m, use, w)
				}
			}
		}
	}
}
