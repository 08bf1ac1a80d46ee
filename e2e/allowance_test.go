package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOneCustomerInALoop runs the default budget and the default allowance: one customer checks changes and asks for
// bills that fail, as fast as one can and over all instances. KOS is asked for that customer no more than the allowance
// says, and the cold bills of the others are answered as when they are alone. DRILL_ROUNDS makes it longer.
//
//nolint:paralleltest // it loads the machine: others would fail beside it, or it beside them
func TestOneCustomerInALoop(t *testing.T) {
	const others, calls, every = 5, 10, 8 * time.Second
	span := time.Duration(rounds(t, 18)) * time.Second
	c := startCluster(t, "KOS_QUOTA_PER_MINUTE=100", "KOS_INSTANCES=5", "KOS_PER_CUSTOMER=10/1m,60/1h")
	bills := c.instances(t, 2, "bill-inquiry", "BILL")
	products := c.instances(t, 1, "product-change", "PRODUCT")
	tokens, lines := c.customers(t, 1+others, int(span/every)+1)
	mine := lines[0]
	c.control(t, http.MethodPost, "/faults",
		map[string]any{"operation": "bill.inquiry", "lineNumber": digits(mine[0]), "mode": "error", "rate": 1}, nil)

	begun := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var mu sync.Mutex
	looped, cold := map[string]int{}, map[string]int{}
	var load sync.WaitGroup
	for client := range 6 {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				var a answer
				if client < 3 {
					a = ask(ctx, http.MethodPost, products[0].url+"/api/v1/products/change/validation", tokens[0], map[string]string{
						"lineNumber": mine[i%len(mine)], "currentProductCode": "LTE-PREMIUM-001", "targetProductCode": "5G-PREMIUM-001",
					})
				} else {
					a = ask(ctx, http.MethodPost, bills[i%2].url+"/api/v1/bills/inquiry", tokens[0],
						map[string]string{"lineNumber": mine[0], "inquiryMonth": months(6)[i%6]})
				}
				mu.Lock()
				looped[strings.TrimSpace(fmt.Sprint(a.status, " ", a.Error.Code))]++
				wait, err := strconv.Atoi(a.header.Get("Retry-After"))
				if a.status == http.StatusTooManyRequests && (err != nil || wait < 1) {
					looped["without a Retry-After"]++
				}
				mu.Unlock()
			}
		})
	}
	for other := range others {
		load.Go(func() {
			for _, line := range lines[1+other][1:] {
				if !wait(ctx, every) {
					return
				}
				a := bill(t.Context(), bills[other%2].url, tokens[1+other], line)
				mu.Lock()
				cold[strings.TrimSpace(fmt.Sprint(a.status, " ", a.text("source"), a.Error.Code))]++
				mu.Unlock()
			}
		})
	}
	load.Wait()

	ofMine := slices.DeleteFunc(c.calls(t, begun, ""), func(call kosCall) bool {
		return !slices.ContainsFunc(mine, func(line string) bool { return digits(line) == digits(call.LineNumber) })
	})
	t.Logf("%d answers to the loop in %s: %v; %d KOS calls for it, at most %d in any 60 s; cold bills of the others: %v",
		sum(looped), span, looped, len(ofMine), busiest(ofMine, time.Minute), cold)
	require.LessOrEqual(t, busiest(ofMine, time.Minute), calls)
	require.NotEmpty(t, ofMine)
	require.NotZero(t, looped["429 RATE_LIMIT_EXCEEDED"])
	require.Zero(t, looped["without a Retry-After"])
	require.Equal(t, map[string]int{"200 KOS": sum(cold)}, cold)
	require.NotEmpty(t, cold)
}
