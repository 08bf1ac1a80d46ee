package portstest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/ports"
)

// Bindings is the suite of ports.Bindings.
func Bindings(t *testing.T, open func(t *testing.T) ports.Bindings) {
	t.Helper()
	t.Run("the first customer binds, and stays", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		for _, step := range []struct {
			account  auth.UserID
			line     line.Number
			customer string
			want     bool
		}{
			{"one", line.Number{}, "C1", true}, {"one", line.Number{}, "C1", true}, {"one", line.Number{}, "C2", false},
			{"one", line.Number{}, "C1", true}, {"other", line.Number{}, "C2", true}, {"one", Line(1), "C2", true},
			{"one", Line(2), "C3", true}, {"one", Line(1), "C3", false},
		} {
			same, err := b.Bind(t.Context(), step.account, step.line, step.customer)
			require.NoError(t, err)
			require.Equal(t, step.want, same, step)
		}
	})
	t.Run("of parallel first customers one binds", func(t *testing.T) {
		t.Parallel()
		b := open(t)
		var bound atomic.Int32
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if same, err := b.Bind(t.Context(), "one", line.Number{}, fmt.Sprint("C", i)); err == nil && same {
					bound.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, bound.Load())
	})
}
