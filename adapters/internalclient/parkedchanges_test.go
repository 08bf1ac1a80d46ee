package internalclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
)

// undecided are a service's parked orders, or its trouble.
type undecided struct {
	page    []product.ParkedOrder
	asked   [2]int
	list    error
	verdict product.Judgement
	err     error
	words   []product.Resolution
}

func (u *undecided) List(_ context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	u.asked = [2]int{page, size}
	return u.page, 77, u.list
}

func (u *undecided) Resolve(_ context.Context, order id.ID, r product.Resolution) (product.Judgement, error) {
	if order != (id.ID{5}) {
		return product.Proposed, fault.New(fault.ResourceNotFound)
	}
	u.words = append(u.words, r)
	return u.verdict, u.err
}

var said = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func serveParked(t *testing.T, u *undecided) string {
	t.Helper()
	return serveInternal(t, &internalapi.Handlers{ParkedChanges: u})
}

func askParked(t *testing.T, token string, origins ...string) *internalclient.ParkedChanges {
	t.Helper()
	l, err := internalclient.NewServices(internalclient.Access{Token: personal.NewSecret(token)}, internalclient.Service{
		Name: "bill-inquiry", Origins: []string{"http://127.0.0.1:1"},
	},
		internalclient.Service{Name: "product-change", Origins: origins})
	require.NoError(t, err)
	return l.ParkedChanges("product-change")
}

func word() product.Resolution {
	return product.Resolution{Outcome: product.OutcomeCompleted, Reason: "KOS 화면에서 확인", By: "kim"}
}

func TestParkedOrdersTravelWhole(t *testing.T) {
	t.Parallel()
	u := &undecided{page: []product.ParkedOrder{
		{
			ID: id.ID{1}, TransactionID: id.ID{2}, Line: "010-****-5678", From: "LTE", To: "5G",
			EffectiveDate: calendar.DateOf(said),
			RequestedAt:   said, ParkedAt: said.Add(1), Sends: 2, Reconciles: 9, KOSOrder: "KOS-7",
			Proposal: product.Resolution{Outcome: product.OutcomeFailed, Reason: "KOS에 없음", By: "lee", At: said.Add(2)},
		},
		{ID: id.ID{3}, EffectiveDate: calendar.DateOf(said), RequestedAt: said, ParkedAt: said},
	}}
	p := askParked(t, "s3cret", "http://127.0.0.1:1", serveParked(t, u))
	page, total, err := p.List(t.Context(), 2, 50)
	require.NoError(t, err)
	require.Equal(t, [2]int{2, 50}, u.asked)
	require.Equal(t, u.page, page)
	require.Equal(t, 77, total)
	for _, want := range []product.Judgement{product.Proposed, product.Confirmed} {
		u.verdict = want
		verdict, err := p.Resolve(t.Context(), id.ID{5}, word())
		require.NoError(t, err)
		require.Equal(t, want, verdict)
	}
	heard := word()
	heard.At = said
	require.Equal(t, []product.Resolution{heard, heard}, u.words, "the time is that of the instance")
}

func TestRefusalsOfWordsAreTheService(t *testing.T) {
	t.Parallel()
	other := &undecided{}
	p := askParked(t, "s3cret", serveParked(t, &undecided{
		err: fault.New(fault.StateConflict).WithMessage("다른 담당자의 확인이 필요합니다").WithDetail("state", "PARKED"),
	}), serveParked(t, other))
	_, err := p.Resolve(t.Context(), id.ID{5}, word())
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	require.Equal(t, "다른 담당자의 확인이 필요합니다", fault.From(err).Message())
	require.Equal(t, map[string]string{"state": "PARKED"}, fault.From(err).Details())
	_, err = p.Resolve(t.Context(), id.ID{6}, word())
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	_, err = p.Resolve(t.Context(), id.ID{5}, product.Resolution{
		Outcome: "MADE_UP", Reason: "KOS 화면에서 확인", By: "kim",
	})
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	require.Empty(t, other.words)
}

// TestAWordIsSaidOnce: an instance that may have heard it is the last that is asked; one without a connection is not.
func TestAWordIsSaidOnce(t *testing.T) {
	t.Parallel()
	other := &undecided{}
	for name, first := range map[string]string{
		"in trouble": serveParked(t, &undecided{err: errors.New("away")}),
		"breaks off": serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })),
		"nonsense":   serve(t, answering(http.StatusOK, `{"result":"MAYBE"}`)),
		"not JSON":   serve(t, answering(http.StatusConflict, "<html>")),
		"half":       serve(t, answering(http.StatusConflict, `{"code":"NOT_FOUND"}`)),
	} {
		_, err := askParked(t, "s3cret", first, serveParked(t, other)).Resolve(t.Context(), id.ID{5}, word())
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	require.Empty(t, other.words)
	_, err := askParked(t, "s3cret", "http://127.0.0.1:1", serveParked(t, other)).Resolve(t.Context(), id.ID{5}, word())
	require.NoError(t, err)
	require.Len(t, other.words, 1)
}

func TestParkedOrdersThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	well := serveParked(t, &undecided{})
	for name, p := range map[string]*internalclient.ParkedChanges{
		"nobody there": askParked(t, "s3cret", "http://127.0.0.1:1"), "no instance": askParked(t, "s3cret"),
		"another token":  askParked(t, "other", well),
		"in trouble":     askParked(t, "s3cret", serveParked(t, &undecided{list: errors.New("away")})),
		"an old release": askParked(t, "s3cret", serve(t, http.NotFoundHandler())),
		"not JSON":       askParked(t, "s3cret", serve(t, answering(http.StatusOK, "<html>"))),
		"a bad id":       askParked(t, "s3cret", serve(t, answering(http.StatusOK, `{"items":[{"id":"x"}]}`))),
	} {
		_, _, err := p.List(t.Context(), 1, 1)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	_, _, err := askParked(t, "s3cret", serveParked(t, &undecided{list: errors.New("away")}), well).List(t.Context(), 1, 1)
	require.NoError(t, err, "another instance may do better")
	order := id.ID{5}.String()
	for _, bad := range [][3]string{
		{http.MethodGet, "?page=x&size=1"}, {http.MethodGet, "?page=1&size="}, {http.MethodGet, "?page=0&size=1"},
		{http.MethodPost, "/x/resolve", `{"outcome":"FAILED","reason":"because","by":"kim"}`},
		{http.MethodPost, "/" + order + "/resolve", `<html>`},
		{http.MethodPost, "/" + order + "/resolve", `{"outcome":"FAILED","reason":"because"}`},
		{http.MethodPost, "/" + order + "/resolve", `{"outcome":"FAILED","reason":"x","by":"kim"}`},
		{http.MethodPost, "/" + order + "/resolve", `{"outcome":"FAILED","by":"kim","reason":"` + strings.Repeat(
			"x", 20_000,
		) + `"}`},
	} {
		req, err := http.NewRequestWithContext(
			t.Context(), bad[0], well+internalapi.Base+"parked-changes"+bad[1], strings.NewReader(bad[2]),
		)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer s3cret")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		require.Equal(t, http.StatusBadRequest, res.StatusCode, bad)
		require.Contains(t, string(raw), "VALIDATION_ERROR")
	}
}
