package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMetricsAreAddedUpOverLabels(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("# HELP a_total x\na_total{by=\"local\",outcome=\"passed\"} 3\n" +
			"a_total{by=\"cache\",outcome=\"passed\"} 4\na_total{by=\"cache\",outcome=\"refused\"} 5\na_total_more 7\n"))
	}))
	t.Cleanup(srv.Close)
	m, err := scrape(t.Context(), srv.URL)
	require.NoError(t, err)
	require.InDelta(t, 12, m.sum("a_total"), 0)
	require.InDelta(t, 7, m.sum("a_total", `outcome="passed"`), 0)
	require.InDelta(t, 4, m.sum("a_total", `outcome="passed"`, `by="cache"`), 0)
	require.InDelta(t, 7, m.sum("a_total_more"), 0)
}

func TestBarsOfS1(t *testing.T) {
	t.Parallel()
	at := func(name string, perSecond float64, p99 time.Duration) row {
		return row{Subject: name, Closed: result{PerSecond: perSecond}, Open: result{P99: p99}}
	}
	rows := []row{
		at(bareProxy, 1000, 4*time.Millisecond), at(ourGateway, 800, 8*time.Millisecond),
		at(haproxyName, 1000, time.Millisecond),
	}
	r := &report{}
	r.doorBars("S1", rows[:2])
	require.Len(t, r.Bars, 2, "without haproxy there is no bar against it")
	r.doorBars("S1", rows)
	require.Len(t, r.Bars, 5)
	require.Equal(t, []bool{true, false, true, false, false},
		[]bool{r.Bars[0].Met, r.Bars[1].Met, r.Bars[2].Met, r.Bars[3].Met, r.Bars[4].Met})
}

func TestSettingsOfAGatewayProcess(t *testing.T) {
	t.Parallel()
	s, err := parseServed([]string{"-users", "3", "-cache", "c:1", "http://b"})
	require.NoError(t, err)
	require.Equal(t, served{users: 3, cache: "c:1", waf: "off", backend: "http://b"}, s)
	_, err = parseServed([]string{"-users", "0", "http://b"})
	require.Error(t, err)
	_, err = parseServed(nil)
	require.Error(t, err)
}

func TestAMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, err := findProgram("no-such-program")
	require.EqualError(t, err, "no-such-program is not installed")
	var missing *missingError
	require.ErrorAs(t, err, &missing)
}

func TestCPUOfNoProcessIsNone(t *testing.T) {
	t.Parallel()
	require.Zero(t, cpuBelow(0))
	require.GreaterOrEqual(t, cpuBelow(os.Getpid()), time.Duration(0))
}

func TestBarsOfS3Doubled(t *testing.T) {
	t.Parallel()
	a := newOutcomes()
	a.elapsed = time.Second
	for range 999 {
		a.add("read bills menu", http.StatusOK, time.Millisecond, nil)
	}
	a.add("write check", http.StatusTooManyRequests, time.Millisecond, nil)
	judged := func(calls int) (met []bool) {
		r := &report{}
		new(doubled).judge(r, a, calls)
		for _, b := range r.Bars {
			met = append(met, b.Met)
		}
		return met
	}
	require.Equal(t, []bool{true, true, true, true, true}, judged(100))
	a.add("write check", http.StatusServiceUnavailable, time.Millisecond, nil)
	a.add("write check", http.StatusTooManyRequests, time.Millisecond, nil)
	require.Equal(t, []bool{true, true, false, false, false}, judged(101))
}
