package lifecycle_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/id"
	"phonebill/core/request/lifecycle"
)

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestPublishWakesAllWaiters(t *testing.T) {
	t.Parallel()
	var b lifecycle.Board
	b.Publish(id.ID{1}) // no waiter
	first, done1 := b.Subscribe(id.ID{1})
	second, done2 := b.Subscribe(id.ID{1})
	other, done3 := b.Subscribe(id.ID{2})
	require.False(t, closed(first))
	b.Publish(id.ID{1})
	require.True(t, closed(first))
	require.True(t, closed(second))
	require.False(t, closed(other))
	next, done4 := b.Subscribe(id.ID{1})
	done1() // of the publish before
	done2()
	b.Publish(id.ID{1})
	require.True(t, closed(next), "a waiter that left earlier takes no other along")
	done3()
	done4()
}

func TestNoWaiterMissesAPublishWhileItReads(t *testing.T) {
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
