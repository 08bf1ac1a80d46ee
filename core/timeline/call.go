package timeline

import (
	"fmt"
	"time"

	"phonebill/core/audit"
)

// longWait is from where on waiting for a turn is an event of its own; the wait of each call is among its facts anyway.
const longWait = 100 * time.Millisecond

// operations of KOS, for staff.
var operations = map[string]string{
	"bill.inquiry": "요금 조회", "bill.months": "청구 월 조회", "customer.get": "고객 정보 조회", "products.list": "상품 목록 조회",
	"product.change": "상품 변경", "product.change.status": "상품 변경 결과 조회",
}

// results are the texts of call results: the codes of R-KOS-CODES that describe KOS itself, and those that are not from
// KOS (audit.Call).
var results = map[string]string{
	"0000": "정상 응답", "E999": "KOS 시스템 오류", "E429": "KOS 호출 한도 초과",
	"TIMEOUT": "제한 시간 내 응답 없음", "BROKEN": "연결 끊김 또는 시스템 오류", "MALFORMED": "해석할 수 없는 응답",
	"UNREADABLE": "필요한 항목이 없거나 읽을 수 없는 응답",
	"REFUSED":    "인증 키 거절", "UNKNOWN_CODE": "알 수 없는 결과 코드", "CANCELED": "호출 중단",
	"NOT_SENT": "전송되지 않음",
}

// callEvents returns the events of calls to KOS, and of long waits before them.
func callEvents(calls []audit.Call) []Event {
	var all []Event
	for _, c := range calls {
		if c.Waited >= longWait {
			all = append(all, Event{
				At: c.AskedAt.Add(-c.Waited), Source: Queue, Type: WaitedForQuota,
				Text:  fmt.Sprintf("KOS 호출 차례를 %dms 기다렸습니다", c.Waited.Milliseconds()),
				Facts: facts("operation", c.Operation, "waitedMs", millis(c.Waited)),
			})
		}
		all = append(all, Event{At: c.AskedAt, Source: KOS, Type: CalledKOS, Text: callText(c), Facts: callFacts(c)})
	}
	return all
}

func callText(c audit.Call) string {
	operation, known := operations[c.Operation]
	if !known {
		operation = c.Operation
	}
	result, known := results[c.Result]
	if !known {
		result = "결과 코드 " + c.Result
	}
	return fmt.Sprintf("KOS %s 호출: %s (%dms)", operation, result, c.AnsweredAt.Sub(c.AskedAt).Milliseconds())
}

func callFacts(c audit.Call) map[string]string {
	status := ""
	if c.HTTPStatus != 0 {
		status = number(c.HTTPStatus)
	}
	return facts("operation", c.Operation, "attempt", number(c.Attempt), "breaker", c.Breaker, "result", c.Result,
		"httpStatus", status,
		"waitedMs", millis(c.Waited), "tookMs", millis(c.AnsweredAt.Sub(c.AskedAt)))
}
