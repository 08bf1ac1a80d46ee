package kos

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"phonebill/core/bill"
	"phonebill/core/money"
)

// taken is an item with its amount.
func taken(name string, w money.Won) bill.Item { return bill.Item{Name: name, Amount: &w} }

// words is an item whose amount is not read.
func unreadItem(name string) bill.Item { return bill.Item{Name: name} }

func TestDiscountText(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][]bill.Item{
		"":              nil,
		" , ":           nil,
		"가족할인 10000원":   {taken("가족할인", 10_000)},
		"가족할인 10,000 원": {taken("가족할인", 10_000)},
		"가족할인10000원":    {taken("가족할인", 10_000)},
		"10000원":        {taken("할인", 10_000)},
		"가족할인 10000원, 선택약정할인 14,750원":           {taken("가족할인", 10_000), taken("선택약정할인", 14_750)},
		"25% 요금할인 3000원,":                       {taken("25% 요금할인", 3_000)},
		"복지할인 50%, 가족할인 1원":                     {unreadItem("복지할인 50%"), taken("가족할인", 1)},
		"가족할인 1원, 기타":                           {taken("가족할인", 1), unreadItem("기타")},
		"큰할인 99999999999999999999원":             {unreadItem("큰할인 99999999999999999999원")},
		"가족할인 10,000원(2회선), 복지할인 5,000원":        {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"선택약정할인 14,750원(부가세 포함)":                {taken("선택약정할인", 14_750)},
		"가족할인 -10,000원":                         {taken("가족할인", 10_000)},
		"가족할인 - 10,000원, 복지할인 -5,000원":          {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10000원 복지할인 5000원":                {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10000원/복지할인 5000원":                {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10000원\n복지할인 5000원":               {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10000원，복지할인 5000원":                {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 １０，０００원；복지할인 5,000원":              {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10,000원 + 복지할인 5,000원":            {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"- 가족할인 10,000원\r\n- 복지할인 5,000원":       {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"결합할인(월 3,000원 x 2) 6,000원":             {taken("결합할인(월 3,000원 x 2)", 6_000)},
		"복지할인(장애인, 1급) 5,000원, 가족할인 1원":         {taken("복지할인(장애인, 1급)", 5_000), taken("가족할인", 1)},
		"가족할인: 10,000원 할인":                      {taken("가족할인 할인", 10_000)},
		"총 15,000원 (가족 10,000원, 복지 5,000원)":     {taken("총", 15_000)},
		"가족할인 10,000원, 복지할인 5,000원, 합계 15,000원": {taken("가족할인", 10_000), taken("복지할인", 5_000)},
		"가족할인 10,000원, 합계 15,000원":              {unreadItem("가족할인 10,000원, 합계 15,000원")},
		"가족할인 -10,000원, 복지할인 5,000원":            {unreadItem("가족할인 -10,000원, 복지할인 5,000원")},
		"가족할인 +10,000원":                         {unreadItem("가족할인 +10,000원")},
		"할인취소 10,000원":                          {unreadItem("할인취소 10,000원")},
		"가족할인 10,000원(적용 예정)":                   {unreadItem("가족할인 10,000원(적용 예정)")},
		"가족할인 10,000원(미적용), 복지할인 5,000원": {unreadItem("가족할인 10,000원(미적용)"),
			taken("복지할인", 5_000)},
		"가족할인 10,000원 (최대)":        {unreadItem("가족할인 10,000원 (최대)")},
		"최대 10,000원":               {unreadItem("최대 10,000원")},
		"할인 전 59,000원":             {unreadItem("할인 전 59,000원")},
		"가족할인 10,000원~20,000원":     {unreadItem("가족할인 10,000원~20,000원")},
		"가족할인 3,000원 x 2회선":        {unreadItem("가족할인 3,000원 x 2회선")},
		"가족할인 3,000원 x 2회선 6,000원": {unreadItem("가족할인 3,000원 x 2회선 6,000원")},
		"정상가 59,000원 할인 10,000원":   {unreadItem("정상가 59,000원 할인 10,000원")},
		"10,000원 5,000원":           {unreadItem("10,000원 5,000원")},
		"가족할인 1 500원":              {unreadItem("가족할인 1 500원")},
		"가족할인 10, 000원":            {unreadItem("가족할인 10"), unreadItem("000원")},
		"가족할인 10.000원":             {unreadItem("가족할인 10.000원")},
		"가족할인 1,00원":               {unreadItem("가족할인 1,00원")},
		"가족할인 1만원":                 {unreadItem("가족할인 1만원")},
		"가족할인 1만 5000원":            {unreadItem("가족할인 1만 5000원")},
		"가족할인 10,000":              {unreadItem("가족할인 10,000")},
		"가족할인(10,000원)":            {unreadItem("가족할인(10,000원)")},
		"가족할인 10,000원(2회선":         {unreadItem("가족할인 10,000원(2회선")},
		"할인 없음":                    {},
		"해당 없음":                    {},
		"0원":                       {},
	} {
		require.Equal(t, want, discountText(said), said)
		require.Equal(t, want, discountText(norm.NFD.String(said)), "the same in decomposed letters: %s", said)
	}
}

// numbers are what a text may be torn at: all digits and commas in a row.
var numbers = regexp.MustCompile(`[0-9][0-9,.]*`)

// holds says that what was read is in the text: each amount is a number of it as a whole, none of them used more often
// than it stands there.
func holds(t require.TestingT, said string, all []bill.Item) {
	left := map[string]int{}
	for _, n := range numbers.FindAllString(plainForm.Replace(norm.NFC.String(said)), -1) {
		left[strings.ReplaceAll(strings.TrimRight(n, ",."), ",", "")]++
	}
	for _, item := range all {
		require.NotEmpty(t, item.Name)
		require.False(t, implausible(item.Amount))
		if item.Amount != nil {
			n := fmt.Sprint(int64(*item.Amount))
			require.Positive(t, left[n], "%q has no number %s of its own", said, n)
			left[n]--
		}
	}
}

func FuzzDiscountText(f *testing.F) {
	for _, seed := range []string{
		"가족할인 10000원, 선택약정할인 14,750원", "복지할인 50%,,원", "가족할인 10,000원(2회선)/복지 -5,000원",
		"1,00원 1 000원", "1원 2원", "할인 1원 (2원) 3원", "((", "합계 1원,1원",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) { holds(t, said, discountText(said)) })
}

// TestDiscountTextLaw writes discounts as free text in many ways: what is read sums up to what was written, or
// something is not read.
func TestDiscountTextLaw(t *testing.T) {
	t.Parallel()
	names := []string{"가족할인", "선택약정할인", "복지할인(장애인)", "25% 요금할인", "5G 결합할인", "지원금"}
	separators := []string{", ", ",", " / ", "/", "\n", "，", "; ", " ", " | "}
	remarks := []string{"", "", "(2회선)", " (부가세 포함)", "[월 3,000원 x 2]", "(1,000원 별도)"}
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom(separators).Draw(t, "separator")
		minus := rapid.SampledFrom([]string{"", "", "-", "- "}).Draw(t, "minus")
		grouped := rapid.Bool().Draw(t, "grouped")
		var want money.Won
		n := rapid.IntRange(1, 4).Draw(t, "items")
		said := make([]string, n)
		for i := range said {
			w := money.Won(rapid.Int64Range(1, 2_000_000).Draw(t, "won"))
			want += w
			number := strings.TrimSuffix(w.String(), "원")
			if !grouped {
				number = strings.ReplaceAll(number, ",", "")
			}
			said[i] = rapid.SampledFrom(names).
				Draw(t, "name") +
				rapid.SampledFrom([]string{" ", ""}).
					Draw(t, "blank") +
				minus + number + "원" +
				rapid.SampledFrom(remarks).
					Draw(t, "remark")
		}
		text := strings.Join(said, separator)
		all := discountText(text)
		require.Len(t, all, n, text)
		var got money.Won
		for _, item := range all {
			require.NotNil(t, item.Amount, text)
			got += *item.Amount
		}
		require.Equal(t, want, got, text)
	})
	rapid.Check(t, func(t *rapid.T) { // any words and signs: nothing is read that is not there
		alphabet := []rune("가할인원 0123456789,,.-+/()[]\n월 합계")
		said := string(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 40).Draw(t, "said"))
		holds(t, said, discountText(said))
	})
}
