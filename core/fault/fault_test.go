package fault_test

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
)

func TestCatalogueIsCompleteAndSorted(t *testing.T) {
	t.Parallel()
	all := fault.Catalogue()
	require.Len(t, all, 34)
	require.True(t, sort.SliceIsSorted(all, func(i, j int) bool { return all[i].Code < all[j].Code }))
	for _, e := range all {
		require.NotEmpty(t, e.Message, e.Code)
		require.NotEmpty(t, e.Meaning, e.Code)
		require.Equal(t, e.Kind, fault.New(e.Code).Kind())
		require.Equal(t, e.Message, fault.New(e.Code).Message())
		require.Equal(t, e.Code, fault.New(e.Code).Code())
	}
}

func TestMessagesOfTheStoriesAreVerbatim(t *testing.T) {
	t.Parallel()
	for code, want := range map[fault.Code]string{
		fault.WrongCredentials: "ID 또는 비밀번호를 확인해주세요",
		fault.LockedNow:        "5회 연속 실패하여 30분간 계정이 잠금되었습니다.",
		fault.Locked:           "계정이 잠금되었습니다. 30분 후 다시 시도해주세요.",
		fault.PermissionDenied: "서비스 이용 권한이 없습니다",
	} {
		require.Equal(t, want, fault.New(code).Message())
	}
}

func TestAnUnknownCodeHasNoMessage(t *testing.T) {
	t.Parallel()
	e := fault.New("MADE_UP")
	require.Equal(t, fault.Internal, e.Kind())
	require.Equal(t, fault.New(fault.InternalServerError).Message(), e.Message())
}

func TestWithMethodsReturnCopies(t *testing.T) {
	t.Parallel()
	base := fault.New(fault.ValidationError).WithField("a", "1").WithDetail("k", "v")
	one := base.WithField("b", "2").WithDetail("one", "1").WithMessage("m").RetryIn(time.Second).Because(io.EOF)
	two := base.WithField("c", "3").WithDetail("two", "2")
	require.Equal(t, []fault.Field{{Name: "a", Reason: "1"}}, base.Fields())
	require.Equal(t, map[string]string{"k": "v"}, base.Details())
	require.Equal(t, []fault.Field{{Name: "a", Reason: "1"}, {Name: "b", Reason: "2"}}, one.Fields())
	require.Equal(t, []fault.Field{{Name: "a", Reason: "1"}, {Name: "c", Reason: "3"}}, two.Fields())
	require.Equal(t, map[string]string{"k": "v", "one": "1"}, one.Details())
	require.Equal(t, map[string]string{"k": "v", "two": "2"}, two.Details())
	require.Equal(t, "m", one.Message())
	require.Equal(t, time.Second, one.RetryAfter())
	require.Zero(t, base.RetryAfter())
	require.ErrorIs(t, one, io.EOF)
	require.NotErrorIs(t, base, io.EOF)
	require.Equal(t, "VALIDATION_ERROR: m; a: 1; b: 2: EOF", one.Error())
	require.Equal(t, "VALIDATION_ERROR; a: 1", base.Error())
}

func TestFromFindsOrClassifies(t *testing.T) {
	t.Parallel()
	require.Nil(t, fault.From(nil))
	locked := fault.New(fault.Locked)
	require.Same(t, locked, fault.From(fmt.Errorf("login: %w", locked)))
	require.Same(t, locked, fault.From(errors.Join(locked, io.EOF)))
	unclassified := fault.From(io.EOF)
	require.Equal(t, fault.InternalServerError, unclassified.Code())
	require.ErrorIs(t, unclassified, io.EOF)
	require.NotContains(t, unclassified.Message(), "EOF", "a cause is for logs only")
}

func TestIsComparesByCode(t *testing.T) {
	t.Parallel()
	err := error(fault.New(fault.ResourceNotFound).WithMessage("other words"))
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	require.NotErrorIs(t, err, fault.New(fault.UserNotFound))
	require.NotErrorIs(t, err, io.EOF)
}

func TestUnexpected(t *testing.T) {
	t.Parallel()
	require.False(t, fault.From(nil).Unexpected())
	require.False(t, fault.New(fault.BillNotFound).Unexpected())
	require.True(t, fault.From(io.EOF).Unexpected())
}

func TestInvalidField(t *testing.T) {
	t.Parallel()
	err := fault.InvalidField("month", "bad")
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	require.Equal(t, []fault.Field{{Name: "month", Reason: "bad"}}, err.Fields())
}
