package fault

import "sort"

// Code is the public error code of the API; clients branch on it, so codes are never renamed.
type Code string

// The codes, as published in docs/errors.md (generated from this catalogue).
const (
	WrongCredentials       Code = "AUTH_001"
	LockedNow              Code = "AUTH_002"
	Locked                 Code = "AUTH_003"
	SecondFactor           Code = "AUTH_004"
	TokenExpired           Code = "TOKEN_EXPIRED"
	TokenInvalid           Code = "TOKEN_INVALID"
	TokenRevoked           Code = "TOKEN_REVOKED"
	RefreshTokenInvalid    Code = "REFRESH_TOKEN_INVALID"
	RefreshTokenReused     Code = "REFRESH_TOKEN_REUSED"
	Unauthorized           Code = "UNAUTHORIZED"
	PermissionDenied       Code = "FORBIDDEN"
	PasswordChangeRequired Code = "PASSWORD_CHANGE_REQUIRED"
	EnrolmentRequired      Code = "SECOND_FACTOR_ENROLMENT_REQUIRED"
	ReauthenticationFailed Code = "REAUTHENTICATION_FAILED"
	LineHeld               Code = "LINE_HELD"
	UserNotFound           Code = "USER_NOT_FOUND"
	ResourceNotFound       Code = "NOT_FOUND"
	ValidationError        Code = "VALIDATION_ERROR"
	BadMethod              Code = "METHOD_NOT_ALLOWED"
	StateConflict          Code = "CONFLICT"
	RequestTimeout         Code = "REQUEST_TIMEOUT"
	PayloadTooLarge        Code = "PAYLOAD_TOO_LARGE"
	IdempotencyKeyReused   Code = "IDEMPOTENCY_KEY_REUSED"
	RateLimitExceeded      Code = "RATE_LIMIT_EXCEEDED"
	BillNotFound           Code = "BILL_NOT_FOUND"
	LineNotFound           Code = "LINE_NOT_FOUND"
	ValidationFailed       Code = "VALIDATION_FAILED"
	ChangeDenied           Code = "CHANGE_DENIED"
	LineSuspended          Code = "LINE_SUSPENDED"
	ChangeInProgress       Code = "CHANGE_IN_PROGRESS"
	ServiceUnavailable     Code = "SERVICE_UNAVAILABLE"
	UpstreamBroken         Code = "BAD_GATEWAY"
	UpstreamTimeout        Code = "GATEWAY_TIMEOUT"
	InternalServerError    Code = "INTERNAL_SERVER_ERROR"
)

// Entry is one line of the catalogue: the kind (hence the status), the Korean text a customer sees, and the
// meaning for the developer of a client.
type Entry struct {
	Code    Code
	Kind    Kind
	Message string
	Meaning string
}

// unknownOutcome is the text for what may have been done: it must not say that nothing happened (ADR 32).
const unknownOutcome = "처리 결과를 확인하지 못했습니다. 이력에서 결과를 확인한 후 다시 시도해주세요"

var catalogue = map[Code]Entry{
	WrongCredentials: {
		Kind: Unauthenticated, Message: "ID 또는 비밀번호를 확인해주세요",
		Meaning: "Unknown id or wrong password; the answer never shows which (UFR-AUTH-010).",
	},
	LockedNow: {
		Kind: Unauthenticated, Message: "5회 연속 실패하여 30분간 계정이 잠금되었습니다.",
		Meaning: "This attempt was the fifth failure in a row and locked the id (UFR-AUTH-010).",
	},
	Locked: {
		Kind: Unauthenticated, Message: "계정이 잠금되었습니다. 30분 후 다시 시도해주세요.",
		Meaning: "The id is locked; the password was not looked at (UFR-AUTH-010).",
	},
	SecondFactor: {
		Kind: Unauthenticated, Message: "추가 인증 코드를 확인해주세요",
		Meaning: "A second factor is needed or was wrong.",
	},
	TokenExpired: {
		Kind: Unauthenticated, Message: "로그인이 만료되었습니다. 다시 로그인해주세요",
		Meaning: "The access token is past its exp; refresh it.",
	},
	TokenInvalid: {
		Kind: Unauthenticated, Message: "유효하지 않은 인증 정보입니다",
		Meaning: "The token is malformed, wrongly signed, of another type, issuer or audience.",
	},
	TokenRevoked: {
		Kind: Unauthenticated, Message: "로그아웃된 세션입니다. 다시 로그인해주세요",
		Meaning: "The session of this token was ended or the user's rights changed.",
	},
	RefreshTokenInvalid: {
		Kind: Unauthenticated, Message: "세션이 만료되었습니다. 다시 로그인해주세요",
		Meaning: "The refresh token is unknown, expired or its session is idle or ended.",
	},
	RefreshTokenReused: {
		Kind: Unauthenticated, Message: "보안을 위해 세션을 종료했습니다. 다시 로그인해주세요",
		Meaning: "A refresh token was used again more than 10 s after it was exchanged; the whole session family is revoked.",
	},
	Unauthorized: {
		Kind: Unauthenticated, Message: "로그인이 필요합니다",
		Meaning: "The call needs a bearer token and has none.",
	},
	PermissionDenied: {
		Kind: Forbidden, Message: "서비스 이용 권한이 없습니다",
		Meaning: "The caller lacks the permission, or the line is not the caller's (UFR-AUTH-020); or the firewall, " +
			"when it is switched on, takes the request for an attack.",
	},
	PasswordChangeRequired: {
		Kind: Forbidden, Message: "초기 비밀번호를 먼저 변경해주세요",
		Meaning: "The password was set by staff. Until it is changed (POST /auth/password) the session is " +
			"good for that and for logging out.",
	},
	EnrolmentRequired: {
		Kind: Forbidden, Message: "추가 인증을 다시 등록해주세요",
		Meaning: "Another person made the second factor. Until its owner has enrolled anew (POST " +
			"/auth/mfa/totp, then confirm) the session " +
			"is good for that, for changing the password and for logging out.",
	},
	ReauthenticationFailed: {
		Kind: Unprocessable, Message: "비밀번호 또는 추가 인증 코드를 확인해주세요",
		Meaning: "Within a session the current password or a code was wrong, missing or not looked at " +
			"because of a lock; the session goes on. " +
			"details.reason has the code that log-in would give: AUTH_001, AUTH_002, AUTH_003 or AUTH_004.",
	},
	LineHeld: {
		Kind: Conflict, Message: "다른 계정이 보유한 회선입니다. 보유 계정에서 해제하거나 다른 담당자의 승인을 받아주세요",
		Meaning: "Another account holds the line. details.transferId names the transfer that a second " +
			"member of staff may confirm.",
	},
	UserNotFound: {
		Kind: NotFound, Message: "사용자를 찾을 수 없습니다",
		Meaning: "No such user.",
	},
	ResourceNotFound: {
		Kind: NotFound, Message: "요청하신 정보를 찾을 수 없습니다",
		Meaning: "No such path or thing, or it belongs to another account.",
	},
	ValidationError: {
		Kind: Invalid, Message: "입력값을 확인해주세요",
		Meaning: "The request is malformed; fields[] names each bad field and why.",
	},
	BadMethod: {
		Kind: MethodNotAllowed, Message: "지원하지 않는 요청 방식입니다",
		Meaning: "The path exists, the method does not; see the Allow header.",
	},
	StateConflict: {
		Kind: Conflict, Message: "현재 상태에서는 처리할 수 없습니다",
		Meaning: "The thing's state forbids the call now; read it again.",
	},
	RequestTimeout: {
		Kind: TooSlow, Message: "요청 본문이 제시간에 도착하지 않았습니다. 다시 시도해주세요",
		Meaning: "The body of the request did not arrive in time; nothing was done.",
	},
	PayloadTooLarge: {
		Kind: TooLarge, Message: "요청 본문이 너무 큽니다",
		Meaning: "The body is over the limit (64 KiB).",
	},
	IdempotencyKeyReused: {
		Kind: Unprocessable, Message: "이미 다른 요청에 사용된 멱등 키입니다",
		Meaning: "The Idempotency-Key was used with another payload.",
	},
	RateLimitExceeded: {
		Kind: RateLimited, Message: "요청이 너무 많습니다. 잠시 후 다시 시도해주세요",
		Meaning: "Over the caller's rate; Retry-After says when to come back.",
	},
	BillNotFound: {
		Kind: NotFound, Message: "해당 월의 요금 정보가 없습니다",
		Meaning: "KOS has no bill for that line and month.",
	},
	LineNotFound: {
		Kind: NotFound, Message: "회선 정보를 찾을 수 없습니다",
		Meaning: "KOS does not know the line.",
	},
	ValidationFailed: {
		Kind: Conflict, Message: "상품 사전 체크에 실패하였습니다",
		Meaning: "A pre-check of the change failed; the message says which (UFR-PROD-030).",
	},
	ChangeDenied: {
		Kind: Conflict, Message: "상품 변경 요청을 실패하였습니다",
		Meaning: "KOS refused the change; the message says why (UFR-PROD-040).",
	},
	LineSuspended: {
		Kind: Conflict, Message: "이용 중인 회선이 아니어서 상품을 변경할 수 없습니다",
		Meaning: "The line is suspended or terminated.",
	},
	ChangeInProgress: {
		Kind: Conflict, Message: "이미 진행 중인 상품 변경 요청이 있습니다",
		Meaning: "Another change of this line is live; details.requestId names it.",
	},
	ServiceUnavailable: {
		Kind: Unavailable, Message: "일시적으로 서비스를 이용할 수 없습니다. 잠시 후 다시 시도해주세요",
		Meaning: "KOS, a service or another backend cannot answer now; nothing was done. Retry-After says when to " +
			"come back.",
	},
	UpstreamBroken: {
		Kind: BadGateway, Message: unknownOutcome,
		Meaning: "A service behind the gateway took a request that asks for something to be done, and broke " +
			"the connection: it may have been done. Look before you repeat it, or repeat it with its Idempotency-Key.",
	},
	UpstreamTimeout: {
		Kind: GatewayTimeout, Message: unknownOutcome,
		Meaning: "A service behind the gateway took a request that asks for something to be done, and did not " +
			"answer in time: it may have been done. Look before you repeat it, or repeat it with its Idempotency-Key.",
	},
	InternalServerError: {
		Kind: Internal, Message: "처리 중 오류가 발생하였습니다",
		Meaning: "Our fault; quote traceId to the operator.",
	},
}

// Catalogue lists every code once, sorted by code.
func Catalogue() []Entry {
	all := make([]Entry, 0, len(catalogue))
	for code, e := range catalogue {
		e.Code = code
		all = append(all, e)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Code < all[j].Code })
	return all
}

func (c Code) entry() Entry {
	if e, ok := catalogue[c]; ok {
		return e
	}
	return catalogue[InternalServerError]
}
