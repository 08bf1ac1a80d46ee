package product_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/product"
)

const why = "KOS 화면에서 확인"

func says(by auth.UserID, outcome product.Outcome, reason string, at time.Time) product.Resolution {
	return product.Resolution{Outcome: outcome, Reason: reason, By: by, At: at}
}

func TestFourEyes(t *testing.T) {
	t.Parallel()
	const (
		done, failed, again = product.OutcomeCompleted, product.OutcomeFailed, product.OutcomeAskAgain
		proposed, confirmed = product.Proposed, product.Confirmed
	)
	kim := says("kim", done, why, now)
	for name, c := range map[string]struct {
		proposal product.Resolution
		r        product.Resolution
		want     product.Judgement
		refused  bool
	}{
		"the first word": {product.Resolution{}, kim, proposed, false},
		"another person says the same": {kim, says("lee", done, "다른 이유입니다", now.Add(time.Hour)),
			confirmed, false},
		"at the last moment":       {kim, says("lee", done, why, now.Add(24*time.Hour-1)), confirmed, false},
		"a moment too late":        {kim, says("lee", done, why, now.Add(24*time.Hour)), proposed, false},
		"at the same moment":       {kim, says("lee", done, why, now), confirmed, false},
		"a clock that goes behind": {kim, says("lee", done, why, now.Add(-time.Minute)), confirmed, false},
		"the same person again":    {kim, says("kim", done, why, now.Add(time.Hour)), proposed, true},
		"the same person, another reason": {kim, says("kim", done, "이유를 고칩니다", now.Add(time.Hour)),
			proposed, false},
		"the same person, another outcome":   {kim, says("kim", failed, why, now.Add(time.Hour)), proposed, false},
		"the same person, a day later":       {kim, says("kim", done, why, now.Add(24*time.Hour)), proposed, false},
		"another person says something else": {kim, says("lee", failed, why, now.Add(time.Hour)), proposed, false},
		"another person wants KOS asked":     {kim, says("lee", again, why, now.Add(time.Hour)), proposed, false},
		"asking again needs two persons as well": {says("kim", again, why, now), says("lee", again, why, now), confirmed,
			false},
		"two persons at the console": {says("cli:kim", done, why, now), says("cli:lee", done, why, now),
			confirmed, false},
		"the same person in capitals": {kim, says("KIM", done, "이유를 고칩니다", now.Add(time.Hour)),
			proposed, false},
		"an account that may be the same human": {kim, says("cli:root", done, why, now), proposed, false},
		"a user id that may be the same human":  {says("cli:root", done, why, now), kim, proposed, false},
	} {
		got, err := c.r.Judge(c.proposal)
		require.Equal(t, c.want, got, name)
		if c.refused {
			require.ErrorIs(t, err, fault.New(fault.StateConflict), name)
			require.Equal(t, "다른 담당자의 확인이 필요합니다", fault.From(err).Message())
			continue
		}
		require.NoError(t, err, name)
	}
}

func TestAResolutionHasAnOutcomeAndAReason(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"COMPLETED", "FAILED", "RECONCILE"} {
		for _, reason := range []string{"다섯글자임", " \t다섯글자임\n", strings.Repeat("가", 500),
			"first line\nsecond line"} {
			r, err := product.ParseResolution(outcome, reason, "kim", now)
			require.NoError(t, err, reason)
			require.Equal(t, says("kim", product.Outcome(outcome), strings.TrimSpace(reason), now), r)
		}
	}
	for field, all := range map[string][][2]string{
		"outcome": {{"", why}, {"completed", why}, {"PARKED", why}},
		"reason": {
			{"FAILED", ""}, {"FAILED", "네"}, {"FAILED", "   네   "}, {"FAILED", strings.Repeat("가", 501)},
			{"FAILED", "zero\x00byte"}, {"FAILED", "not \xff text"}, {"FAILED", "bell\arings"},
		},
	} {
		for _, c := range all {
			_, err := product.ParseResolution(c[0], c[1], "kim", now)
			require.ErrorIs(t, err, fault.New(fault.ValidationError), c)
			require.Equal(t, field, fault.From(err).Fields()[0].Name, c)
		}
	}
}

func TestResolvedOrders(t *testing.T) {
	t.Parallel()
	parked := product.Order{State: product.Parked, Sends: 2, Silences: 9, KOSOrder: "K-1",
		NextAttemptAt: now.Add(-time.Hour), Fence: 7}
	done, err := parked.Resolve(says("lee", product.OutcomeCompleted, why, now))
	require.NoError(t, err)
	want := parked
	want.State, want.ProcessedAt, want.ResultCode, want.ResultMessage = product.Completed, now, "RESOLVED",
		"상품 변경이 완료되었습니다"
	require.Equal(t, want, done)

	failed, err := parked.Resolve(says("lee", product.OutcomeFailed, why, now))
	require.NoError(t, err)
	want = parked
	want.State, want.ProcessedAt, want.ResultCode, want.ResultMessage = product.Failed, now, "RESOLVED",
		"상품 변경 요청을 실패하였습니다"
	want.FailureReason = product.ResolvedAsFailed
	require.Equal(t, want, failed)
	require.NotContains(t, failed.FailureReason, why, "the operator's reason is not the customer's")

	asked, err := parked.Resolve(says("lee", product.OutcomeAskAgain, why, now))
	require.NoError(t, err)
	want = parked
	want.State, want.Silences, want.NextAttemptAt = product.Unknown, 0, now
	require.Equal(t, want, asked)

	_, err = parked.Resolve(says("lee", "MADE_UP", why, now))
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	for _, state := range states {
		if state == product.Parked {
			continue
		}
		for _, outcome := range []product.Outcome{product.OutcomeCompleted, product.OutcomeFailed, product.OutcomeAskAgain} {
			o, err := product.Order{State: state}.Resolve(says("lee", outcome, why, now))
			require.ErrorIs(t, err, fault.New(fault.StateConflict), state)
			require.Equal(t, product.Order{State: state}, o, "nothing changes")
			require.Equal(t, product.Order{State: state}.Public(), fault.From(err).Details()["state"], "the state of the API")
		}
	}
}
