package lifecycle_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/id"
	"phonebill/core/request/lifecycle"
)

func told(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestNewsReachesThoseWhoWait(t *testing.T) {
	t.Parallel()
	var b lifecycle.Board
	b.Publish(id.ID{1}) // nobody waits
	first, done1 := b.Subscribe(id.ID{1})
	second, done2 := b.Subscribe(id.ID{1})
	other, done3 := b.Subscribe(id.ID{2})
	require.False(t, told(first))
	b.Publish(id.ID{1})
	require.True(t, told(first))
	require.True(t, told(second))
	require.False(t, told(other))
	next, done4 := b.Subscribe(id.ID{1})
	done1() // of the news before
	done2()
	b.Publish(id.ID{1})
	require.True(t, told(next), "who left after earlier news takes nobody with him")
	done3()
	done4()
}

func TestNobodyMissesWhatIsToldWhileHeLooks(t *testing.T) {
	t.Parallel()
	var b lifecycle.Board
	var all sync.WaitGroup
	for n := range 200 {
		request := id.ID{byte(n % 7)}
		all.Go(func() {
			c, done := b.Subscribe(request)
			defer done()
			<-c
		})
	}
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				for n := range 7 {
					b.Publish(id.ID{byte(n)})
				}
			}
		}
	}()
	all.Wait()
	close(stop)
}
