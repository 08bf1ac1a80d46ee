package kos

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"phonebill/core/bill"
	"phonebill/core/money"
)

// discounts converts the discounts, which come as a list, or as text from older billing runs. It returns nil when KOS
// sends none, or nothing readable.
func discounts(raw json.RawMessage) []bill.Item {
	var list maybe[[]maybe[itemData]]
	if err := json.Unmarshal(raw, &list); err == nil && list.v != nil {
		return items(list)
	}
	if text, ok := quoted(raw); ok && text != "" {
		return discountText(text)
	}
	return nil
}

// plainForm replaces what looks like a digit, comma, slash or minus by the plain one, so that the rules below need to
// know only one of each.
var plainForm = strings.NewReplacer(
	"，", ",", "、", ",", "､", ",", "；", ";", "／", "/", "－", "-", "−", "-", "–", "-", "—", "-",
	"（", "(", "）", ")", "［", "[", "］", "]",
	"【", "[", "】", "]", "｛", "{", "｝", "}", "\u00a0", " ", "\u3000", " ", "\r", "\n",
	"０", "0", "１", "1", "２", "2", "３", "3", "４", "4", "５", "5", "６", "6", "７", "7", "８", "8", "９", "9",
)

// discountText parses 「가족할인 10,000원(2회선), 선택약정할인 14,750원」. The text is free, so an item is read only
// where it has one meaning:
//
//   - Commas, slashes, semicolons, bars and line ends separate items, but never between two digits (14,750원) and never
//     in brackets.
//   - What stands in brackets is a remark. An amount in it is no discount. A remark right after an amount that takes it
//     back (미적용, 예정, 최대 …) makes the item unread.
//   - An amount is a number, its thousands grouped well or not at all, and 원. It comes after its name.
//   - 할인 10,000원 and 할인 -10,000원 are the same discount. A text that writes some amounts with a minus and some
//     without is not read.
//   - Without a separator a second amount is an item of its own only if both names say that they are discounts
//     (가족할인 1원 복지할인 2원).
//   - A sum that the text adds (합계 15,000원) is left out if it is the sum of the others; else nothing is read.
//
// An item that is not read keeps its text and has no amount: the customer sees what KOS wrote, and the bill's total is
// not computed from it.
func discountText(text string) []bill.Item {
	text = plainForm.Replace(norm.NFC.String(text))
	if slices.Contains(noDiscount, strings.ReplaceAll(text, " ", "")) {
		return []bill.Item{}
	}
	parts, ok := split(text)
	if !ok {
		return unread(text)
	}
	var all []reading
	for _, part := range parts {
		all = append(all, readPart(part)...)
	}
	return combine(text, all)
}

// noDiscount are the texts that mean that there is no discount, without blanks.
var noDiscount = []string{"없음", "할인없음", "해당없음", "해당사항없음", "-", "0", "0원"}

// reading is an item of a discount text as it was written.
type reading struct {
	bill.Item
	minus bool // a minus stands before the amount
}

// unread returns the text as an item without an amount; nil when it is blank.
func unread(text string) []bill.Item {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return []bill.Item{{Name: strings.Join(strings.Fields(text), " ")}}
}

// split cuts a text at its separators; ok is false when its brackets do not match.
func split(text string) (parts []string, ok bool) {
	var open []rune
	runes, from := []rune(text), 0
	cut := func(to int) {
		if part := strings.TrimSpace(string(runes[from:to])); part != "" {
			parts = append(parts, part)
		}
		from = to + 1
	}
	digit := func(i int) bool { return i >= 0 && i < len(runes) && unicode.IsDigit(runes[i]) }
	for i, r := range runes {
		switch r {
		case '(', '[', '{':
			open = append(open, closing[r])
		case ')', ']', '}':
			if len(open) == 0 || open[len(open)-1] != r {
				return nil, false
			}
			open = open[:len(open)-1]
		case ',', '/', ';', '|', '\n':
			if len(open) == 0 && (!digit(i-1) || !digit(i+1)) {
				cut(i)
			}
		}
	}
	cut(len(runes))
	return parts, len(open) == 0
}

var closing = map[rune]rune{'(': ')', '[': ']', '{': '}'}

var (
	// amountPattern is a run of digits and what stands right around it: it must be a whole number of won.
	amountPattern = regexp.MustCompile(`([-+]?)\s*([0-9][0-9,.]*)\s*원`)
	goodAmount    = regexp.MustCompile(`^(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*|0)$`)
	remark        = regexp.MustCompile(`^(?:\s*[(\[{][^()\[\]{}]*[)\]}])*\s*`)
	saysDiscount  = regexp.MustCompile(`(?:할인|감면|혜택|지원금|쿠폰)(?:\s*[(\[{][^()\[\]{}]*[)\]}])*$`)
	afterwards    = regexp.MustCompile(`^(?:할인|감면|차감|적용|할인\s*적용)$`)
	// otherwise are words that make an amount something else than a discount of that many won, or only a part of the
	// amount.
	otherwise = regexp.MustCompile(
		`취소|환수|반환|추징|위약|최대|최소|최저|예정|정상가|정가|월정액|기본료|이용료|청구|납부|결제|할인\s*[전후]` +
			`|(?:^|\s)약\s*$|[xX×*~≈]\s*$|[0-9]\s*[십백천만억]\s*$`)
	// takenBack are words of a remark by which the amount before it is not, not yet or not wholly a discount.
	takenBack   = regexp.MustCompile(`미적용|제외|취소|종료|만료|중단|예정|최대|환수|추징|한도`)
	threeDigits = regexp.MustCompile(`^[0-9]{3}(?:,|$)`) // with a number before it: thousands grouped by a blank
	endsInDigit = regexp.MustCompile(`[0-9]\s+$`)
	// summing are words that make an amount the sum of others.
	summing = regexp.MustCompile(
		`^(?:총\s*)?(?:합계|총계|소계|총액|할인\s*합계|할인\s*총액|총\s*할인(?:\s*금액|액)?|총|계)$`)
)

// readPart parses the text between two separators: one item, or several where each name says that it is a discount.
func readPart(part string) []reading {
	masked := maskRemarks(part)
	var out []reading
	from := 0
	for _, at := range amountPattern.FindAllStringSubmatchIndex(masked, -1) {
		from = min(from, at[0]) // blanks before an amount belong to it
		name := strings.TrimSpace(strings.TrimLeft(strings.TrimRight(part[from:at[0]], ":=-· \t"), "+&-·• \t"))
		before, number := masked[from:at[0]]+masked[at[3]:at[4]], masked[at[4]:at[5]]
		won, ok := wonOf(number)
		grouped := threeDigits.MatchString(number) && endsInDigit.MatchString(before)
		if !ok || grouped || masked[at[2]:at[3]] == "+" || otherwise.MatchString(before) {
			return []reading{{Item: bill.Item{Name: part}}}
		}
		remarked := remark.FindString(part[at[1]:])
		if takenBack.MatchString(remarked) {
			return []reading{{Item: bill.Item{Name: part}}}
		}
		out = append(out, reading{Item: bill.Item{Name: name, Amount: &won}, minus: at[2] < at[3]})
		from = at[1] + len(remarked)
	}
	rest := strings.TrimSpace(part[from:])
	if len(out) == 0 || rest != "" && !afterwards.MatchString(rest) {
		return []reading{{Item: bill.Item{Name: part}}}
	}
	for i := range out {
		if len(out) > 1 && !saysDiscount.MatchString(out[i].Name) {
			return []reading{{Item: bill.Item{Name: part}}}
		}
	}
	if rest != "" {
		last := &out[len(out)-1]
		last.Name = strings.TrimSpace(last.Name + " " + rest)
	}
	return out
}

// maskRemarks replaces bracketed text by dots; every other byte keeps its place.
func maskRemarks(part string) string {
	depth, out := 0, []byte(part)
	for i, b := range out {
		switch b {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
			out[i] = '.' // a remark right before or after a number makes it none
		}
		if depth > 0 {
			out[i] = '.'
		}
	}
	return string(out)
}

// wonOf parses a whole number of won, its thousands grouped well or not at all.
func wonOf(number string) (money.Won, bool) {
	if !goodAmount.MatchString(number) {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.ReplaceAll(number, ",", ""), 10, 64)
	return money.Won(n), err == nil && money.Won(n) <= maxWon
}

// combine returns the items of all readings, or the unread text when they contradict each other.
func combine(text string, all []reading) []bill.Item {
	var out []bill.Item
	var sum, sums money.Won
	minus, summed, known := 0, 0, 0
	for _, r := range all {
		if r.Amount == nil {
			out = append(out, bill.Item{Name: strings.Join(strings.Fields(r.Name), " ")})
			continue
		}
		known++
		if r.minus {
			minus++
		}
		if summing.MatchString(r.Name) && len(all) > 1 {
			summed, sums = summed+1, *r.Amount
			continue
		}
		sum += *r.Amount
		if r.Name == "" {
			r.Name = "할인"
		}
		out = append(out, r.Item)
	}
	if minus > 0 && minus < known || summed > 1 || summed == 1 && (sums != sum || known < len(all)) {
		return unread(text)
	}
	return out
}
