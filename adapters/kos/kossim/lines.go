package kossim

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/calendar"
)

// Scenario is how KOS treats a line.
type Scenario string

// The scenarios. OldDevice is for generated customers only.
const (
	Normal    Scenario = "normal"
	NoBill    Scenario = "no_bill"    // no bill at all (E002), a change is refused with E101
	Failing   Scenario = "error"      // every call is E999 with HTTP 500
	Slow      Scenario = "slow"       // every call takes Delays.SlowLine
	Suspended Scenario = "suspended"  // a change is refused with E003
	Unpaid    Scenario = "unpaid"     // last months are 연체, a change is refused with E103
	Unknown   Scenario = "unknown"    // KOS does not know the line (E001)
	OldDevice Scenario = "old_device" // the device cannot do 5G: such a change is refused with E102

	NewCustomer Scenario = "new_customer" // bills of the current month and the last one only
)

// DemoLine is a line that always exists, except for the one with the scenario Unknown, which never does.
type DemoLine struct {
	LineNumber  string // digits only
	Scenario    Scenario
	Description string // Korean, for display
}

// DemoLines lists the fixed lines and the normal demo lines.
func DemoLines() []DemoLine {
	return []DemoLine{
		{"01012345678", Normal, "정상"},
		{"01012345679", NoBill, "청구 내역 없음, 약정으로 변경 불가"},
		{"01012345680", Failing, "KOS 시스템 오류"},
		{"01012345681", Slow, "KOS 응답 5초"},
		{"01012345682", Suspended, "이용 정지"},
		{"01012345683", Unpaid, "미납"},
		{"01012340000", Unknown, "KOS에 없는 회선"},
		{"01087654321", Normal, "정상"},
		{"01055554444", Normal, "정상"},
		{"01099998888", Normal, "정상"},
		{"01012345684", NewCustomer, "신규 가입, 최근 두 달만 청구"},
	}
}

// Customer is the owner of a line according to KOS; it follows from the line number alone.
type Customer struct {
	LineNumber   string `json:"lineNumber"`
	CustomerID   string `json:"customerId"`
	CustomerName string `json:"customerName"`
}

// CustomerOf returns the owner of a line, whether or not the simulator knows the line. Customer ids are unique for 010
// lines.
func CustomerOf(lineNumber string) Customer {
	surnames := []string{"김", "이", "박", "최", "정", "강", "조", "윤", "장", "임"}
	given := []string{
		"민준", "서연", "도윤", "지우", "예준", "하은", "시우", "서윤", "주원", "지민",
		"지호", "수아", "준서", "다은", "건우", "채원", "현우", "유진", "우진", "소율",
	}
	n, _ := strconv.ParseInt(strings.TrimPrefix(lineNumber, "010"), 10, 64)
	const odd, shift, size = 48_271_337, 12_345_677, 100_000_000 // odd and size share no factor: one id per number
	return Customer{
		LineNumber:   lineNumber,
		CustomerID:   fmt.Sprintf("CUST-%08d", (n*odd+shift)%size),
		CustomerName: surnames[pick(lineNumber, "surname", len(surnames))] + given[pick(lineNumber, "given", len(given))],
	}
}

var digits = regexp.MustCompile(`^01[0-9]{8,9}$`)

// pick returns a number in [0, n) that depends only on the line and the salt.
func pick(lineNumber, salt string, n int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(lineNumber + "/" + salt)) // a hash never fails
	return int(h.Sum64() >> 16 % uint64(n))         //nolint:gosec // n is a small positive number
}

// subscriber is a line that KOS knows.
type subscriber struct {
	number   string
	scenario Scenario
	accepted []*change // oldest first
}

// planOn returns the plan on a day and the change scheduled after it. It replays the accepted changes: a change
// replaces the one still scheduled and takes effect on its date.
func (l *subscriber) planOn(day calendar.Date) (current string, scheduled *change) {
	current = startPlan
	for _, c := range l.accepted {
		if c.day.After(day) {
			break
		}
		if scheduled != nil && !scheduled.effective.After(c.day) {
			current = scheduled.To
		}
		scheduled = c
	}
	if scheduled != nil && !scheduled.effective.After(day) {
		return scheduled.To, nil
	}
	return current, scheduled
}

func (l *subscriber) status() string {
	if l.scenario == Suspended {
		return "SUSPENDED"
	}
	return "ACTIVE"
}

// contract is a term of 24 months; when it ends, the next one begins.
type contract struct {
	start, end calendar.Date
	remaining  int64 // months of the term after the given one
}

const termMonths = 24

func (l *subscriber) contractIn(m calendar.Month) contract {
	base, _ := calendar.ParseMonth("2020-01") // a constant
	base = base.Add(pick(l.number, "contract", termMonths))
	for m.After(base.Add(termMonths - 1)) {
		base = base.Add(termMonths)
	}
	c := contract{start: base.First(), end: base.Add(termMonths).First().AddDays(-1)}
	for x := m; base.Add(termMonths - 1).After(x); x = x.Add(1) {
		c.remaining++
	}
	return c
}

// terminationFee returns what terminating in that month would cost, in won.
func (c contract) terminationFee() int64 { return c.remaining * 4_000 }

func (c contract) text() string {
	dots := func(d calendar.Date) string { return strings.ReplaceAll(d.String(), "-", ".") }
	return fmt.Sprintf("%d개월 약정 (%s ~ %s)", termMonths, dots(c.start), dots(c.end))
}

// instalment returns the monthly rate of the device in won; 0 = it is paid off.
func (l *subscriber) instalment() int64 {
	return []int64{0, 15_000, 25_000, 32_000}[pick(l.number, "device", 4)]
}

func (l *subscriber) customer(today calendar.Date) kosgen.Customer {
	current, scheduled := l.planOn(today)
	p, _ := planOf(current) // only plans of the catalogue are ever accepted
	c := l.contractIn(today.Month())
	start, end, months, fee := c.start.Compact(), c.end.Compact(), termMonths, c.terminationFee()
	owner := CustomerOf(l.number)
	out := kosgen.Customer{
		CustomerId: owner.CustomerID, CustomerName: owner.CustomerName, OperatorCode: operator, LineStatus: l.status(),
		CurrentProduct: p.wire(),
		Contract: &kosgen.Contract{
			ContractMonths: &months, ContractStart: &start, ContractEnd: &end, EarlyTerminationFee: &fee,
		},
	}
	if scheduled != nil {
		out.ScheduledProduct = &kosgen.ScheduledProduct{
			ProductCode: scheduled.To, EffectiveDate: scheduled.EffectiveDate, TransactionId: scheduled.TransactionID,
		}
	}
	return out
}

// generated returns the numbers of a run of customers: 0102 and seven digits from a base that follows from the seed.
func generated(count int, seed int64) []string {
	base := pick(strconv.FormatInt(seed, 10), "customers", 10_000_000)
	out := make([]string, count)
	for i := range out {
		out[i] = fmt.Sprintf("0102%07d", (base+i)%10_000_000)
	}
	return out
}
