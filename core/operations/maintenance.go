package operations

import (
	"strings"
	"time"
	"unicode/utf8"

	"phonebill/core/calendar"
	"phonebill/core/fault"
)

// Scope is what a maintenance switches off.
type Scope string

// The scopes.
const (
	AllOperations   Scope = "ALL"     // everything that customers do with bills and plans
	ChangesOnly     Scope = "CHANGES" // checks and changes of plans; what is read goes on
	maxMaintenance        = 24 * time.Hour
	maxAhead              = 30 * 24 * time.Hour
	maxAnnouncement       = 200 // characters
)

// Scopes lists the scopes.
func Scopes() []Scope { return []Scope{AllOperations, ChangesOnly} }

// Maintenance is a time in which customers' operations are switched off. The zero value is none. It ends by itself.
type Maintenance struct {
	From, Until time.Time
	Scope       Scope
	Message     string // for customers, Korean; empty = the usual text
	By          string // the member of staff who switched it on
}

// NewMaintenance returns a maintenance as staff ask for it at now; without a from it begins now. It fails with
// VALIDATION_ERROR, which names the field.
func NewMaintenance(m Maintenance, now time.Time) (Maintenance, error) {
	if m.From.Before(now) {
		m.From = now
	}
	if m.Scope == "" {
		m.Scope = AllOperations
	}
	m.Message = strings.TrimSpace(m.Message)
	switch {
	case m.Scope != AllOperations && m.Scope != ChangesOnly:
		return Maintenance{}, fault.InvalidField("scope", "ALL 또는 CHANGES여야 합니다")
	case m.From.After(now.Add(maxAhead)):
		return Maintenance{}, fault.InvalidField("from", "30일 이내여야 합니다")
	case !m.Until.After(m.From):
		return Maintenance{}, fault.InvalidField("until", "시작 시각과 현재 시각보다 뒤여야 합니다")
	case m.Until.After(m.From.Add(maxMaintenance)):
		return Maintenance{}, fault.InvalidField("until", "시작 시각부터 24시간 이내여야 합니다")
	case utf8.RuneCountInString(m.Message) > maxAnnouncement:
		return Maintenance{}, fault.InvalidField("message", "200자 이내로 입력해야 합니다")
	}
	return m, nil
}

// On reports whether the maintenance is under way at now.
func (m Maintenance) On(now time.Time) bool { return !now.Before(m.From) && now.Before(m.Until) }

// Over reports whether nothing of it is left at now; also when there is none.
func (m Maintenance) Over(now time.Time) bool { return !now.Before(m.Until) }

// Refuse returns the error of a customer's operation at now: SERVICE_UNAVAILABLE until the end, with the reason
// MAINTENANCE in its details; nil when the operation is not switched off. change says whether it checks or changes a
// plan.
func (m Maintenance) Refuse(change bool, now time.Time) error {
	if !m.On(now) || m.Scope == ChangesOnly && !change {
		return nil
	}
	until := m.Until.In(calendar.Seoul)
	text := m.Message
	if text == "" {
		text = "서비스 점검 중입니다. " + until.Format("1월 2일 15:04") + " 이후에 다시 이용해주세요"
	}
	return fault.New(fault.ServiceUnavailable).WithMessage(text).RetryIn(m.Until.Sub(now)).
		WithDetail("reason", "MAINTENANCE").WithDetail("until", until.Format(time.RFC3339))
}
