package boot

import (
	"bytes"
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUnknownArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	split := false
	option := func(f *flag.FlagSet) { f.BoolVar(&split, "split", false, "each service is a process") }
	for _, c := range []struct {
		args  []string
		code  int
		ok    bool
		split bool
		says  string
	}{
		{nil, 0, true, false, ""},
		{[]string{"-split"}, 0, true, true, ""},
		{[]string{"--split"}, 0, true, true, ""},
		{[]string{"-h"}, 0, false, false, "Usage: phonebill"},
		{[]string{"--help"}, 0, false, false, "each service is a process"},
		{[]string{"-splitt"}, 2, false, false, "-splitt"},
		{[]string{"split"}, 2, false, false, `"split" is no option`},
	} {
		split = false
		var out bytes.Buffer
		code, ok := arguments(append([]string{"/bin/phonebill"}, c.args...), &out, option)
		require.Equal(t, c.ok, ok, c.args)
		require.Equal(t, c.code, code, c.args)
		require.Equal(t, c.split, split, c.args)
		require.Contains(t, out.String(), c.says)
	}
}
