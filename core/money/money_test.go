package money_test

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/money"
)

func TestWonGroupsByThousands(t *testing.T) {
	t.Parallel()
	for amount, want := range map[money.Won]string{
		0: "0원", 7: "7원", -7: "-7원", 999: "999원", 1000: "1,000원", -1000: "-1,000원", 89000: "89,000원",
		100000:  "100,000원",
		-123456: "-123,456원", 1234567: "1,234,567원", math.MaxInt64: "9,223,372,036,854,775,807원",
		math.MinInt64: "-9,223,372,036,854,775,808원",
	} {
		require.Equal(t, want, amount.String())
	}
}

func TestWonKeepsItsDigits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		s := money.Won(n).String()
		back, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSuffix(s, "원"), ",", ""), 10, 64)
		require.NoError(t, err)
		require.Equal(t, n, back)
		groups := strings.Split(strings.TrimPrefix(strings.TrimSuffix(s, "원"), "-"), ",")
		for i, g := range groups {
			require.True(t, len(g) == 3 || i == 0 && len(g) < 3, s)
		}
	})
}
