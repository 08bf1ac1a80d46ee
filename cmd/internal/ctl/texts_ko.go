package ctl

import (
	"phonebill/core/fault"
	"phonebill/core/timeline"
)

// korean has the Korean text of every English one. Codes and the names of columns that are codes stay as they are.
var korean = map[string]string{
	"\r%d rows, %d added, %d there already, %d refused, %.0f rows/s, %s left   ": "" +
		"\r%d행, 추가 %d, 기존 %d, 거절 %d, 초당 %.0f행, 남은 시간 %s   ",
	" (by %s)":                               " (부여자 %s)",
	" (cannot be opened: %s)":                " (열 수 없음: %s)",
	" until %s":                              " (%s까지)",
	"%d (%d reserved)":                       "%d (예약 %d)",
	"%d calls are leased":                    "호출 %d회 대여 중",
	"floors":                                 "최소 몫",
	"%d of %d calls per %s":                  "%[3]s당 %[2]d회 중 %[1]d회",
	"%d of %d rows checked, about %s left\n": "%[2]d행 중 %[1]d행 확인, 남은 시간 약 %[3]s\n",
	"%d orders compared, %d differences so far, about %s left\n": "%d건 비교, 지금까지 차이 %d건, 남은 시간 약 %s\n",
	"%d read, %d added, %d there already, %d refused\n":          "읽음 %d, 추가 %d, 기존 %d, 거절 %d\n",
	"%d rows looked at, %d sealed anew, %d do not open; values bound to their column alone are refused\n": "" +
		"%d행 확인, %d행 다시 봉인, %d행 열 수 없음. 열에만 묶인 값은 이제 거절합니다\n",
	"%d rows without a key are believed: an older release may still write them": "" +
		"키 없는 %d행을 인정합니다. 이전 릴리스가 아직 쓸 수 있습니다",
	"%d rows without a key came before checkpoint %d, which closed them": "" +
		"키 없는 %d행은 체크포인트 %d 이전의 것이며 그 체크포인트로 닫혔습니다",
	"%d more wait\n":                                "%d건이 더 기다리고 있습니다\n",
	"%d sessions ended\n":                           "세션 %d개를 종료하였습니다\n",
	"%d within the last 60 s":                       "최근 60초 동안 %d회",
	"%q is one argument too many: %s":               "인자 %q은(는) 필요하지 않습니다: %s",
	"%q is unknown; did you mean %s? There are %s":  "%q은(는) 없는 값입니다. %s을(를) 뜻하셨습니까? 가능한 값: %s",
	"%q is unknown; there are %s":                   "%q은(는) 없는 값입니다. 가능한 값: %s",
	"%s  %s to %s, proposed by %s (%s), until %s\n": "%s  %s → %s, 제안 %s (%s), 기한 %s\n",
	"%s by %s until %s: %s":                         "%s, 제안자 %s, 기한 %s: %s",
	"%s had no grant of %s: nothing was revoked\n":  "%s에게 %s 권한이 없어 회수할 것이 없었습니다\n",
	"%s has %s\n":                                   "%s에게 %s 권한이 있습니다\n",
	"%s has no command %q; did you mean %q? There are %s": "" +
		"%s에 %q 명령이 없습니다. %q을(를) 뜻하셨습니까? 가능한 명령: %s",
	"%s has no command %q; there are %s":      "%s에 %q 명령이 없습니다. 가능한 명령: %s",
	"%s has no flag --%s; did you mean --%s?": "%s에 --%s 옵션이 없습니다. --%s을(를) 뜻하셨습니까?",
	"%s has no flag --%s; see --help":         "%s에 --%s 옵션이 없습니다. --help를 확인해주세요",
	"%s has no second factor\n":               "%s에게 추가 인증이 없습니다\n",
	"%s holds no anchor: neither SEQ:HASH nor lines of the auth service's log": "" +
		"%s에 기준점이 없습니다. SEQ:HASH도 auth 서비스의 로그도 아닙니다",
	"%s is %s\n":        "%s의 상태는 %s입니다\n",
	"%s is missing: %s": "%s 인자가 없습니다: %s",
	"%s is no longer held by another account; it goes to %s\n": "" +
		"%s 회선을 다른 계정이 더 이상 보유하지 않으며 %s에게 이전됩니다\n",
	"%s is refused\n":                    "%s을(를) 거절합니다\n",
	"%s has the tier %s\n":               "%s의 등급은 %s입니다\n",
	"%s is unlocked\n":                   "%s의 잠금을 해제하였습니다\n",
	"%s no longer has its grant of %s\n": "%s의 %s 권한을 회수하였습니다\n",
	"%s signs from %s\n":                 "%s 키가 %s부터 서명합니다\n",
	"%s … %s: %d orders compared, %d differences; KOS asked %d times, undecided %d, not asked %d; %s": "" +
		"%s … %s: %d건 비교, 차이 %d건, KOS 질의 %d회, 판단 불가 %d건, 질의하지 않음 %d건, %s",
	"%s: %d of %d rows, %d sealed anew, %d do not open, %s left\n": "" +
		"%[1]s: %[3]d행 중 %[2]d행, 다시 봉인 %[4]d, 열 수 없음 %[5]d, 남은 시간 %[6]s\n",
	"%s: the demo has an operator and an admin": "%s: 데모에는 operator와 admin만 있습니다",
	"%w: see %s":                              "%w: %s을(를) 확인해주세요",
	"%w: see docs/reconciliation.md":          "%w: docs/reconciliation.md를 확인해주세요",
	"some rows were refused":                  "일부 행이 거절되었습니다",
	"the reconciliation found differences":    "대사 결과에 차이가 있습니다",
	"(shown this once)":                       "(지금 한 번만 표시합니다)",
	", KOS has said E429: until %s":           ", KOS가 E429로 응답함: %s까지",
	"--%s needs a value":                      "--%s에 값이 필요합니다",
	"--%s: %q is neither true nor false":      "--%s: %q은(는) true도 false도 아닙니다",
	"--%s: %q is no duration like 24h or 30m": "--%s: %q은(는) 24h나 30m 같은 기간이 아닙니다",
	"--%s: %q is no whole number":             "--%s: %q은(는) 정수가 아닙니다",
	"--anchor is SEQ:HASH or a file: %w":      "--anchor에는 SEQ:HASH 또는 파일을 지정해주세요: %w",
	"--expires is a day like 2026-12-31, a time like 2026-12-31T15:00:00Z or a duration like 8h": "" +
		"--expires에는 2026-12-31 같은 날짜, 2026-12-31T15:00:00Z 같은 시각 또는 8h 같은 기간을 지정해주세요",
	"--page counts from 1, --size is 1-100, and page x size at most 10,000": "" +
		"--page는 1부터, --size는 1~100이며 page x size는 10,000 이하여야 합니다",
	"--rows-per-second is 1 or more": "--rows-per-second는 1 이상이어야 합니다",
	"--until is a time like 2026-11-20T00:00:00+09:00: %w": "" +
		"--until에는 2026-11-20T00:00:00+09:00 같은 시각을 지정해주세요: %w",
	"AUTH_DATABASE_URL is not set, and no local system is found: %w": "" +
		"AUTH_DATABASE_URL이 없고 로컬 시스템도 찾을 수 없습니다: %w",
	"Activate an account; takes effect within a second": "계정을 활성화합니다. 1초 안에 적용됩니다",
	"Bind the sealed values of an older release to their rows, then refuse the older form": "" +
		"이전 릴리스의 봉인 값을 각 행에 묶고 이전 형식을 거절합니다",
	resealHelp: "" +
		`이전 릴리스가 쓴 봉인 값(이름, 번호, 주소, 회선, 요금, 사본, 전문, 비밀번호 해시)을 네 데이터베이스 모두에서
각 행에 묶습니다. 그 뒤에는 다른 행이나 다른 캐시 항목으로 옮긴 값이 열리지 않습니다.

이전 릴리스의 인스턴스가 하나도 없을 때 실행합니다. 이전 릴리스는 새 형식을 읽지 못합니다. 모든 인스턴스가
새 형식을 쓰도록 하고 10초를 기다린 뒤 작은 묶음으로 다시 봉인하고, 끝나면 이전 형식을 거절합니다. 중단하고
다시 실행할 수 있으며 끝난 행은 확인만 합니다. 모두 끝난 시스템에서는 모든 값을 확인할 뿐 아무것도 바꾸지
않습니다.

제자리에서 열리지 않는 값은 이름을 알리고 그대로 둡니다. 그런 값이 있으면 이전 형식을 거절하지 않으며(종료
코드 1), --leave-unreadable을 지정하면 잃은 값으로 봅니다.

서비스와 같은 KEYRING_FILE, AUTH_, BILL_, PRODUCT_, KOS_DATABASE_URL이 필요하며, 없으면 "make run"으로
시작한 시스템을 씁니다.`,
	"Check every row, chain and signed checkpoint of the audit log": "" +
		"감사 로그의 모든 행, 사슬, 서명된 체크포인트를 확인합니다",
	verifyAuditHelp: "" +
		`감사 로그의 모든 행, 사슬, 서명된 체크포인트를 확인합니다. 바뀌거나 더해지거나 빠지거나 잘린 행을 알리고
종료 코드는 1입니다. 빈 로그도 오류입니다. 키링 없이는 만들 수 없는 키 있는 행이 어디서 시작하는지, 이전
릴리스가 쓴 키 없는 행을 어느 체크포인트가 닫았는지 알립니다.

데이터베이스 안에서 알 수 없는 것은 기준점으로 찾습니다. 로그를 비우고 새로 시작하였는지, 마지막 행과
체크포인트를 함께 잘랐는지입니다. 기준점은 이 명령이 마지막에 출력한 값(SEQ:HASH), 그런 줄이 있는 파일, 또는
다른 장비에 두어야 하는 auth 서비스의 로그 파일 (매분 "audit checkpoint", 행마다 "audit")입니다.`,
	"Read and check the audit log":          "감사 로그를 보고 확인합니다",
	"Show what staff did, the newest first": "담당자가 한 일을 최신순으로 봅니다",
	showAuditHelp: "" +
		`담당자가 한 일을 최신순으로 봅니다. 로그의 개인정보는 마스킹되어 있습니다. 조회한 사실도 기록합니다.

변경에는 두 행이 있습니다. 그 전의 INTENDED와 결과입니다. 사슬은 확인하지 않으며 "phonebillctl audit
verify"가 확인합니다.`,
	"only what this person did: a user id, or cli:<account>": "이 사람이 한 일만: 사용자 ID 또는 cli:<계정>",
	"only this action, like USER_UNLOCKED":                   "이 동작만, 예: USER_UNLOCKED",
	"only what was done to this account or request":          "이 계정이나 요청에 한 일만",
	"only what is not older than this; 0 = all":              "이 기간 안의 것만. 0이면 전체",
	"ACTOR": "담당자", "ACTION": "동작", "REASON": "사유",
	"Compare our plan changes with KOS and with what was delivered to the MVNO AP server": "" +
		"상품 변경을 KOS 및 MVNO AP 서버에 전달한 결과와 대사합니다",
	reconciliationHelp: "" +
		`상품 변경을 KOS 및 MVNO AP 서버에 전달한 결과와 대사합니다. 차이를 알릴 뿐 아무것도 바꾸지 않습니다.

"ops"와 같은 변수로 product 서비스의 인스턴스에 묻습니다. 조치 방법은 docs/reconciliation.md에 있습니다.`,
	"Reconcile now, and wait for it; exit code 3 when they differ": "" +
		"지금 대사하고 끝날 때까지 기다립니다. 차이가 있으면 종료 코드 3",
	reconcileHelp: "" +
		`지금 대사합니다. --until 이전 --since 동안 확정된 신청과 너무 오래 열려 있는 모든 신청을 비교합니다.

KOS에는 기본으로 분당 20회 질의하므로 신청이 많은 날은 오래 걸립니다. 이 명령을 중단해도 계속되며
"phonebillctl reconciliation show"로 결과를 볼 수 있습니다.`,
	"Confirm a transfer that another person proposed": "다른 담당자가 제안한 회선 이전을 확인합니다",
	confirmTransferHelp: "" +
		`다른 담당자가 제안한 회선 이전을 확인합니다. 보유 계정은 회선을 잃고 제안된 계정이 회선을 받습니다.
그 계정이 아직 없거나 회선을 먼저 회수한 경우에는 거절되었던 요청을 다시 보냅니다.`,
	"any account (it was taken from one)": "모든 계정 (다른 계정에서 회수됨)",
	createUserHelp: "" +
		`계정을 만듭니다. 비밀번호는 표준 입력의 첫 줄에서 읽거나(--password-stdin) 새로 만들어 한 번만 출력합니다.
운영자와 관리자에게는 추가 인증이 등록되며 otpauth URI와 복구 코드도 한 번만 출력합니다. 안전하게
전달해주세요.`,
	"Create an account; the first administrator too": "계정을 만듭니다. 첫 관리자도 만듭니다",
	"Create, show, search, unlock, suspend and load accounts": "" +
		"계정을 만들고, 보고, 찾고, 잠금을 풀고, 정지하고, 일괄 등록합니다",
	"Credentials of systems that call for their users (the MVNO AP server)": "" +
		"사용자를 대신해 호출하는 시스템(MVNO AP 서버)의 자격 증명",
	serviceKeysHelp: "" +
		`사용자를 대신해 호출하는 시스템의 자격 증명입니다. 로그인과 토큰 갱신 때 X-Service-Credential로 보내면 최종
사용자의 주소와 단말을 인정하고 주소별 한도를 적용하지 않습니다. 한 서비스의 키는 동시에 두 개까지
유효합니다. 다음 키를 만들고 호출 시스템을 바꾼 뒤 이전 키를 폐기하거나 다음 발급 때 폐기되도록 둡니다.
재시작은 필요 없습니다.`,
	"Drive a customer's whole journey against the running system": "실행 중인 시스템에서 고객의 전체 여정을 수행합니다",
	"End all sessions, within a second everywhere":                "모든 세션을 1초 안에 모든 곳에서 종료합니다",
	resetFactorHelp: "" +
		`인증 앱과 복구 코드를 모두 잃은 사용자를 위한 명령입니다. 운영자와 관리자에게는 새 추가 인증을 한 번만
출력하며 다음 로그인 때 다시 등록합니다. 고객의 추가 인증은 해제되며 다시 등록할 수 있습니다. 계정의 모든
세션이 종료됩니다.`,
	tierHelp: "" +
		`기본으로 DEFAULT는 분당 100회, VIP는 500회, MVNO_AP는 10,000회까지 요청할 수 있습니다. BENCH는 한도가 없으며 개발
환경에만 있습니다. 변경 전의 토큰은 1초 안에 거절되며 갱신한 토큰에 새 등급이 적용됩니다.`,
	"Set how many requests an account may make; takes effect within a second": "" +
		"계정의 요청 한도 등급을 정합니다. 1초 안에 적용됩니다",
	"a good customer": "우수 고객",
	"tier":            "등급",
	"Forget wrong passwords, and the lock with them": "비밀번호 실패 기록과 잠금을 해제합니다",
	"Give a permission, for good or until a time":    "권한을 기한 없이 또는 기한까지 부여합니다",
	"Hong Gildong": "홍길동",
	"Lee Admin":    "이관리",
	"List and confirm transfers of lines that another account holds": "" +
		"다른 계정이 보유한 회선의 이전을 조회하고 확인합니다",
	"List and end the sessions of an account": "계정의 세션을 조회하고 종료합니다",
	parkedHelp: "" +
		`KOS가 처리 여부를 알려주지 못하는 상품 변경을 먼저 신청한 순서로 조회합니다.

"ops"와 같은 변수로 product 서비스의 인스턴스에 묻습니다. 판단 방법은 docs/parked-changes.md에 있습니다.`,
	"List plan changes of which KOS cannot tell, and decide on them": "" +
		"KOS가 결과를 알려주지 못하는 상품 변경을 조회하고 결정합니다",
	"List results and the state of their delivery, newest first": "결과와 전달 현황을 최신순으로 조회합니다",
	"List the keys by the beginning of their hashes":             "키를 해시의 앞부분으로 조회합니다",
	"List the live sessions, newest first":                       "유효한 세션을 최신순으로 조회합니다",
	"List the signing keys, newest first":                        "서명 키를 최신순으로 조회합니다",
	"List the transfers that wait for a second person": "" +
		"다른 담당자의 확인을 기다리는 회선 이전을 조회합니다",
	"List, rotate and retire the keys that sign access tokens": "액세스 토큰 서명 키를 조회, 교체, 폐기합니다",
	"Load customers in bulk from a CSV file":                   "CSV 파일에서 고객을 일괄 등록합니다",
	importHelp: "" +
		`머리글이 있고 한 레코드에 고객 한 명이 있는 CSV 파일(RFC 4180, UTF-8 또는 CP949)에서 고객을 일괄 등록합니다.
열의 순서는 자유입니다.
user_id, password, password_hash, name, phone, email, customer_id, lines, permissions.
user_id, name과 password, password_hash(argon2id, PHC 형식) 중 하나는 있어야 하며 lines와 permissions는
";"로 구분합니다.

행은 묶음 단위로 전부 저장하거나 전혀 저장하지 않습니다. 중단되면 다시 실행해주세요. 이미 있는 ID는 해시하기
전에 건너뜁니다. 거절된 행은 줄 번호와 사유와 함께 옆 파일(imp.csv이면 imp.refused.csv, 비밀번호 제외)에
기록하며 종료 코드는 2입니다.`,
	opsHelp: "" +
		`게이트웨이의 /ops와 같은 내용으로 실행 중인 시스템과 KOS 연동 상태를 봅니다.

모든 인스턴스의 내부 리스너에 동시에 최대 1초 동안 묻습니다. 응답하지 않는 인스턴스는 이유와 함께
표시합니다. 인스턴스는 GATEWAY_INTERNAL_URLS, AUTH_INTERNAL_URLS, BILL_INTERNAL_URLS,
PRODUCT_INTERNAL_URLS(쉼표로 구분한 주소 또는 dns+http://bill:9082 같은 이름, 기본값
http://127.0.0.1:9080~9083)이며 INTERNAL_TOKEN으로 묻습니다. 이 변수들과 AUTH_DATABASE_URL이 모두 없으면
"make run"으로 시작한 시스템입니다. 조치 방법은 docs/operations.md에 있습니다.`,
	"Look at the running system: instances, circuit breakers, KOS budget, memory": "" +
		"실행 중인 시스템을 봅니다: 인스턴스, 회로 차단기, KOS 호출 한도, 캐시",
	"Show which instances run":               "실행 중인 인스턴스를 봅니다",
	"Show how the gateways see the services": "게이트웨이가 보는 서비스 상태를 봅니다",
	"all: breaker %s, %d waiting":            "전체: 차단기 %s, 대기 %d",
	"%d up, %d ejected, %d not ready, %d down": "" +
		"정상 %d, 제외 %d, 준비 안 됨 %d, 중단 %d",
	"READY": "준비됨", "NOT READY": "준비 안 됨", "DRAINING": "종료 대기", "UNKNOWN": "알 수 없음",
	"UNREACHABLE": "무응답", "RELEASES": "릴리스", "RELEASE": "릴리스", "RUNS FOR": "가동 시간",
	"GATEWAYS": "게이트웨이", "GATEWAY": "게이트웨이", "BREAKERS OPEN": "열린 차단기", "IN FLIGHT": "처리 중",
	"BEST VIEW": "가장 좋은 쪽", "WORST VIEW": "가장 나쁜 쪽",
	"Show results delivered to the MVNO AP server, and deliver them again": "" +
		"MVNO AP 서버에 전달한 결과를 보고 다시 전달합니다",
	deliveriesHelp: "" +
		`MVNO AP 서버에 전달한 결과를 보고 다시 전달합니다.

"ops"와 같은 변수로 서비스의 인스턴스에 묻습니다. 결과가 전달되는 과정은 docs/deliveries.md에 있습니다.`,
	"Make a key and print it, once": "키를 만들어 한 번만 출력합니다",
	rotateKeyHelp: "" +
		`다음 서명 키를 만듭니다. 바로 공개되고 모든 검증자가 알 수 있도록 시간을 둔 뒤 서명합니다. 이전 키의 토큰은
만료될 때까지 유효합니다. 서비스도 30일마다 같은 일을 합니다.

--now를 지정하면 새 키가 바로 서명하고 다른 모든 키는 1초 안에 모든 곳에서 거절됩니다. 키가 유출되었을 때
사용합니다. 사용자에게는 토큰 갱신만 일어납니다.`,
	"Make the next signing key; tokens of the one before stay good": "" +
		"다음 서명 키를 만듭니다. 이전 키의 토큰은 유효합니다",
	rootHelp: "" +
		`phonebill을 운영합니다: 계정, 권한, 세션, 감사 로그, KOS 연동.

명령은 auth 서비스의 데이터베이스에서 실행합니다. auth 서비스와 같은 AUTH_DATABASE_URL, KEYRING_FILE,
VALKEY_ADDR(VALKEY_PASSWORD)을 쓰며, AUTH_DATABASE_URL이 없으면 "make run"으로 시작한 시스템(PHONEBILL_DATA,
기본값 .data)입니다. 모든 명령은 감사 로그에 cli:<계정>으로 기록하며, 변경하는 명령에는 --reason이
필요합니다.

"ops", "deliveries", "parked", "requests", "reconciliation", "timeline"은 실행 중인 서비스에 묻습니다.`,
	"Operate phonebill: accounts, permissions, sessions, keys, audit log, the link to KOS": "" +
		"phonebill 운영: 계정, 권한, 세션, 키, 감사 로그, KOS 연동",
	"Print the one-time code of a demo account, as its authenticator app would": "" +
		"데모 계정의 일회용 코드를 인증 앱처럼 출력합니다",
	"Refuse a key that signs no more, within a second everywhere": "" +
		"서명하지 않는 키를 1초 안에 모든 곳에서 거절합니다",
	"Refuse a key, within seconds everywhere": "키를 몇 초 안에 모든 곳에서 거절합니다",
	"Replace the lost second factor of staff, remove that of a customer": "" +
		"담당자의 잃은 추가 인증을 교체하고 고객의 추가 인증을 해제합니다",
	"Say what became of a parked change; another person must say the same within 24 h": "" +
		"확인 대기 중인 변경의 결과를 정합니다. 다른 담당자가 24시간 안에 같은 결과를 확인해야 합니다",
	"Search for accounts by id, customer, line or status": "계정을 ID, 고객, 회선, 상태로 찾습니다",
	"Show an account, masked":                             "계정을 마스킹하여 봅니다",
	"Show how often memory does":                          "캐시 적중률을 봅니다",
	"Show the help of a command: phonebillctl COMMAND --help": "" +
		"명령의 도움말을 봅니다: phonebillctl COMMAND --help",
	"Show the last comparison; exit code 3 when it found differences": "" +
		"마지막 대사 결과를 봅니다. 차이가 있었으면 종료 코드 3",
	"Show what happened to an account's logins, newest first":    "계정의 로그인 이력을 최신순으로 봅니다",
	"Show what is left of the KOS budget, and the waiting calls": "KOS 호출 한도의 잔여량과 대기 현황을 봅니다",
	"Show which calls are let through":                           "통과 중인 호출을 봅니다",
	"Suspend an account; takes effect within a second":           "계정을 정지합니다. 1초 안에 적용됩니다",
	"TRANSFER_ID is no transfer's number: %w":                    "TRANSFER_ID가 회선 이전의 번호가 아닙니다: %w",
	"Take a permission away; takes effect within a second":       "권한을 회수합니다. 1초 안에 적용됩니다",
	"Deliver a parked or delivered result again, under its id and number": "" +
		"보류되었거나 전달된 결과를 같은 ID와 번호로 다시 전달합니다",
	"Show what happened to one inquiry or plan change, and why": "" +
		"요금 조회나 상품 변경 하나에 일어난 일과 이유를 봅니다",
	timelineHelp: "" +
		`요금 조회나 상품 변경 하나에 일어난 일과 이유를 오래된 것부터 봅니다.

"ops"와 같은 변수로 서비스의 인스턴스에 물으며 조회한 사람은 감사 로그에 기록합니다.
코드의 뜻은 docs/operations.md에 있습니다.`,
	"a day (to its end in Korea), a time like 2026-12-31T15:00:00Z, or a duration like 8h; left out: for good": "" +
		"날짜(한국 시간으로 그날까지), 2026-12-31T15:00:00Z 같은 시각 또는 8h 같은 기간. 생략하면 기한 없음",
	"all": "전체",
	"an instance of an older release cannot read what this writes: say --all-upgraded when none is left": "" +
		"이전 릴리스의 인스턴스는 이 명령이 쓰는 값을 읽지 못합니다. 하나도 남지 않았으면 --all-upgraded를 지정해주세요",
	"anchor for the next time: %d:%x": "다음 확인의 기준점: %d:%x",
	"and %d more\n":                   "그 밖에 %d건\n",
	"applied for the service":         "서비스 신청",
	"budget":                          "한도",
	"cannot be opened":                "열 수 없음",
	"List accounts whose ids differ in case alone": "대소문자만 다른 ID의 계정을 나열합니다",
	clashesHelp: "" +
		"대소문자만 다른 ID의 계정을 한 줄에 나란히 나열합니다. 대소문자를 가리지 않기 전에 만든 계정이며,\n" +
		"하나를 뺀 나머지가 INACTIVE가 될 때까지 적힌 그대로의 ID로 로그인합니다.",
	"no two accounts differ in the case of their ids alone": "대소문자만 다른 ID의 계정이 없습니다",
	"changed over":                  "교체 완료",
	"changes per page":              "페이지당 변경 수",
	"connect the AP server":         "AP 서버 연동",
	"created":                       "생성",
	"customer":                      "고객",
	"customer id at the carrier":    "통신사의 고객 ID",
	"device lost, identity checked": "단말 분실, 본인 확인함",
	"device reported lost":          "단말 분실 신고",
	"does not answer: %s":           "응답 없음: %s",
	"does not open: %s %s\n":        "열 수 없음: %s %s\n",
	"email":                         "이메일",
	"every instance is upgraded":    "모든 인스턴스 업그레이드 완료",
	"finished %s":                   "%s에 완료",
	"first administrator":           "첫 관리자",
	"first customers moved over":    "1차 고객 이관",
	"helps out until the year ends": "연말 지원",
	"how far back":                  "얼마 전까지 비교할지",
	"how many rows are looked at per second at most":                   "초당 확인할 최대 행 수",
	"how you know, in 2 characters or more; it is recorded (required)": "판단 근거, 2자 이상. 기록합니다 (필수)",
	"identity theft reported":                                          "명의 도용 신고",
	"interrupted: whole batches are stored, run the command again to go on": "" +
		"중단되었습니다. 저장된 묶음은 온전하므로 다시 실행하면 이어집니다",
	"it holds what the anchor knows: %d checkpoints, %d rows": "기준점이 아는 것과 맞습니다: 체크포인트 %d개, %d행",
	"keyed rows begin with row %d of writer %s, %s":           "키 있는 행은 작성자 %[2]s의 %[1]d행부터, %[3]s",
	"kind":       "종류",
	"last login": "마지막 로그인",
	"line":       "회선",
	"line that the customer owns; repeat for more, the main one first": "" +
		"고객의 회선. 여러 개면 반복하며 대표 회선을 먼저 지정합니다",
	"lines":                         "회선",
	"mail address":                  "이메일 주소",
	"missing":                       "빠진 부분",
	"name":                          "이름",
	"name of the person (required)": "이름 (필수)",
	"new contract":                  "신규 개통",
	"next":                          "다음",
	"no checkpoint is made yet: there is no anchor for the next time": "" +
		"아직 체크포인트가 없어 다음 확인의 기준점이 없습니다",
	"no instance of an older release is left (required)": "이전 릴리스의 인스턴스가 없음 (필수)",
	"no limit":                      "한도 없음",
	"no longer helps out":           "지원 종료",
	"no password on standard input": "표준 입력에 비밀번호가 없습니다",
	"no row is keyed":               "키 있는 행이 없습니다",
	"no transfer waits\n":           "대기 중인 회선 이전이 없습니다\n",
	"no instance reports it":        "알려주는 인스턴스 없음",
	"old key":                       "이전 키 폐기",
	"only of requests not older than this; 0 = all": "이 기간 안의 요청만. 0이면 전체",
	"only those in this state":                      "이 상태만",
	"page, the first is 1":                          "페이지, 1부터",
	"papers checked":                                "명의 변경 서류 확인",
	"password":                                      "비밀번호",
	"pending again\n":                               "다시 전달 대기 중입니다\n",
	"permission":                                    "권한",
	"permission; repeat for more":                   "권한. 여러 개면 반복합니다",
	"phone":                                         "전화번호",
	"quarterly change":                              "분기 교체",
	"read the password from standard input":         "비밀번호를 표준 입력에서 읽습니다",
	"recovery code":                                 "복구 코드",
	"refuse the older form also when some values do not open": "열리지 않는 값이 있어도 이전 형식을 거절합니다",
	"required: %s": "필수 옵션이 없습니다: %s",
	"resolved\n":   "처리하였습니다\n",
	"proposed: another person must say the same within 24 h\n": "" +
		"제안하였습니다. 다른 담당자가 24시간 안에 같은 결과를 확인해야 합니다\n",
	"results of which requests":   "어떤 요청의 결과인지",
	"results per page":            "페이지당 결과 수",
	"role; repeat for more":       "역할. 여러 개면 반복합니다",
	"roles":                       "역할",
	"rows on a page, at most 100": "페이지당 행 수, 최대 100",
	"second factor":               "추가 인증",
	"show name, numbers and address in clear; wants a --reason": "이름, 번호, 주소를 그대로 봅니다. --reason이 필요합니다",
	"show this help": "이 도움말을 봅니다",
	"sign with the new key at once and refuse all others": "새 키로 바로 서명하고 다른 모든 키를 거절합니다",
	"status":                              "상태",
	"still going on":                      "진행 중",
	"telephone number":                    "전화번호",
	"the KOS screen shows the new plan":   "KOS 화면에서 변경된 요금제를 확인함",
	"the MVNO has corrected its receiver": "MVNO 수신 오류 수정 완료",
	"the account of this id":              "이 ID의 계정",
	"the accounts in this state":          "이 상태의 계정",
	"the accounts of this customer":       "이 고객의 계정",
	"the accounts that own this line":     "이 회선을 보유한 계정",
	"the audit log is whole: %d rows of %d writers, %d checkpoints": "" +
		"감사 로그가 온전합니다: %d행, 작성자 %d, 체크포인트 %d개",
	"no reconciliation has run yet: run \"phonebillctl reconciliation check\", or wait for the nightly run\n": "" +
		"아직 대사한 적이 없습니다. \"phonebillctl reconciliation check\"를 실행하거나 야간 대사를 기다려주세요\n",
	"the customer asks":                "고객 요청",
	"the customer asks what is stored": "고객 본인 확인 요청",
	"the file that `make run` wrote":   "`make run`이 쓴 파일",
	"the key may be known":             "키 유출 의심",
	"the ledger cannot be asked: each instance spends the floor that it holds": "" +
		"한도 장부에 물을 수 없어 각 인스턴스가 빌린 최소 몫만 씁니다",
	"unreachable": "응답 없음",
	"until when, like 2026-11-20T00:00:00+09:00 (default now)": "언제까지, 예: 2026-11-20T00:00:00+09:00 (기본값 지금)",
	"used":    "사용",
	"user":    "사용자",
	"version": "버전",
	"waiting until every instance writes the new form\n": "모든 인스턴스가 새 형식을 쓸 때까지 기다립니다\n",
	"what became of it (required)":                       "처리 결과 (필수)",
	"what is known of the log from elsewhere: SEQ:HASH, or a file (may be repeated)": "" +
		"다른 곳에서 아는 로그의 상태: SEQ:HASH 또는 파일 (반복 가능)",
	"why, in 2 characters or more; it is recorded":            "사유, 2자 이상. 기록합니다",
	"why, in 2 characters or more; it is recorded (required)": "사유, 2자 이상. 기록합니다 (필수)",
	"without an anchor a log that was emptied and began anew looks like a young one": "" +
		"기준점이 없으면 비우고 새로 시작한 로그를 구별할 수 없습니다",
	"works tonight":                    "야간 작업",
	"yes":                              "예",
	"no":                               "아니요",
	"… and %d more":                    "… 그 밖에 %d건",
	"page %d of %d, %d in all":         "%[2]d쪽 중 %[1]d쪽, 모두 %[3]d건",
	"page %d of %d, %d in all or more": "%[2]d쪽 중 %[1]d쪽, 모두 %[3]d건 이상",

	"Switch customers' operations off for a time, and on again": "고객 기능을 일정 시간 중지하고 다시 시작합니다",
	maintenanceHelp: "" +
		`고객 기능을 일정 시간 중지합니다. 그동안 고객의 요청에는 안내 문구와 Retry-After를 담은 503으로 응답합니다.
로그인, 담당자 업무, 결과 전달, 진행 중인 변경은 계속됩니다. 모든 게이트웨이에 1초 안에 적용됩니다.
정한 시각이 되면 저절로 끝납니다. 시간대를 쓰지 않은 시각은 한국 시간입니다: 2026-03-15T05:00.
자세한 내용은 docs/maintenance.md에 있습니다.`,
	"restore of the cache":                                      "캐시 복구",
	"carrier at work":                                           "통신사 작업",
	"Switch customers' operations off until a time":             "정한 시각까지 고객 기능을 중지합니다",
	"Switch customers' operations on again":                     "고객 기능을 다시 시작합니다",
	"Show the maintenance that is under way or planned":         "진행 중이거나 예정된 점검을 보여 줍니다",
	"when it ends: a time, or how long from now (required)":     "끝나는 시각 또는 지금부터의 시간 (필수)",
	"when it begins: a time, or how long from now; empty = now": "시작하는 시각 또는 지금부터의 시간. 비우면 지금",
	"checks and changes of plans alone":                         "상품 변경과 사전 확인만 중지합니다",
	"what customers read; empty = a text that names the end":    "고객에게 보이는 문구. 비우면 종료 시각 안내",
	"there is no maintenance any more\n":                        "점검을 종료하였습니다\n",
	"there is no maintenance\n":                                 "점검이 없습니다\n",
	"it is planned\n":                                           "점검이 예정되어 있습니다\n",
	"it is under way\n":                                         "점검 중입니다\n",
	"Find the bill inquiries and plan changes of customers, and take one back": "" +
		"고객의 요금 조회와 상품 변경 요청을 찾고 취소합니다",
	requestsHelp: "" +
		`고객의 요금 조회와 상품 변경 요청을 찾고 취소합니다.

"ops"와 같은 변수로 서비스의 인스턴스에 물으며 조회한 내용은 감사 로그에 기록합니다.
"phonebillctl timeline REQUEST_ID"로 한 요청에 일어난 일을 볼 수 있습니다.`,
	"List requests by line, account or state, the newest first": "요청을 회선, 계정, 상태로 최신순 조회합니다",
	"Find the requests of the call whose trace id a customer quotes": "" +
		"고객이 알려준 추적 ID의 호출이 만든 요청을 찾습니다",
	traceHelp: "" +
		`고객이 알려준 추적 ID(오류의 traceId, 16진수 32자리)의 호출이 만든 요청을 찾습니다. 추적 ID를 보관하기 전의 ` +
		`요청은 찾을 수 없습니다.`,
	"Take a plan change back that its customer could take back": "고객이 취소할 수 있는 상품 변경을 취소합니다",
	"no request was made under this trace id\n":                 "이 추적 ID로 만들어진 요청이 없습니다\n",
	"it is taken back\n":         "취소하였습니다\n",
	"which requests":             "어떤 요청을 조회할지",
	"only those of this line":    "이 회선의 요청만",
	"only those of this account": "이 계정의 요청만",
	"SUBJECT":                    "대상", "ENDED": "종료", "CODE": "코드", "TRACE": "추적 ID", "CANCELLABLE": "취소 가능",

	"Print a script that completes commands in a shell": "셸에서 명령을 완성하는 스크립트를 출력합니다",
	"Print the script for this shell":                   "이 셸의 스크립트를 출력합니다",
	"disable completion descriptions":                   "설명 없이 완성합니다",

	// Headings.
	"Usage:": "사용법:", "Aliases:": "다른 이름:", "Examples:": "예:", "Available Commands:": "명령:",
	"Additional Commands:": "그 밖의 명령:",
	"Flags:":               "옵션:", "Global Flags:": "공통 옵션:", "Additional help topics:": "그 밖의 도움말:",
	`Use "{{.CommandPath}}`: `"{{.CommandPath}}`, "[command]": "[명령]",
	"for more information about a command.": "로 명령의 도움말을 볼 수 있습니다.",
	"USER":                                  "사용자", "STATUS": "상태", "NAME": "이름", "CUSTOMER": "고객",
	"LINE": "회선", "LINES": "회선", "ROLES": "역할", "LAST LOGIN": "마지막 로그인",
	"AT": "시각", "TYPE": "종류", "OUTCOME": "결과", "FROM": "출발", "SERVICE": "서비스", "DEVICE": "단말",
	"SESSION": "세션", "BEGAN": "시작",
	"LAST SEEN": "마지막 활동", "ENDS": "종료", "STATE": "상태", "CREATED": "생성", "SIGNS FROM": "서명 시작",
	"RETIRED": "폐기", "KEY": "키",
	"EVENT": "이벤트", "NUMBER": "번호", "ATTEMPTS": "시도", "RESULT OF": "결과 시각", "NEXT": "다음", "DELIVERED": "전달",
	"LAST":    "마지막",
	"REQUEST": "요청", "TO": "변경", "EFFECTIVE": "적용일", "REQUESTED": "신청", "PARKED": "보류",
	"SENT": "전송", "ASKED": "질의",
	"TRANSACTION": "거래", "KOS ORDER": "KOS 주문", "PROPOSAL": "제안", "INSTANCE": "인스턴스", "BREAKER": "차단기",
	"FAILURES": "실패",
	"FLOOR":    "최소 몫", "HELD UNTIL": "보유 기한",
	"SINCE": "부터", "TRIED AGAIN": "재시도", "LANE": "차선", "WAITING": "대기", "ETA": "예상", "KIND": "종류",
	"HITS": "적중", "STALE": "만료",
	"MISSES": "실패", "COALESCED": "합침", "HIT RATE": "적중률", "FOUND": "발견", "WHAT": "내용", "SOURCE": "출처",
	"FACTS": "사실", "TEXT": "설명",

	// Differences that a reconciliation finds.
	"its delivery is parked":                             "전달이 보류되었습니다",
	"it is final and was never due for delivery":         "확정되었으나 전달 대상이 된 적이 없습니다",
	"another result of the line has its sequence number": "같은 회선의 다른 결과가 같은 순번을 가집니다",
	"the AP server took it more than once":               "AP 서버가 두 번 이상 받았습니다",
	"the sequence number before it is missing":           "앞 순번이 없습니다",
	"it was told before the result that comes before it": "앞선 결과보다 먼저 전달되었습니다",
}

// englishReasons are the reasons of refused fields, which the rules give in the customers' language.
var englishReasons = map[string]string{
	"01012345678 또는 010-1234-5678 형식이어야 합니다": "it must look like 01012345678 or 010-1234-5678",
	"1~50자로 입력해야 합니다":                        "it must have 1 to 50 characters",
	"3~20자의 영문, 숫자, '_', '-'만 사용할 수 있습니다":    "it must have 3 to 20 letters, digits, '_' or '-'",
	"40자 이내의 영문, 숫자, '_', '-'만 사용할 수 있습니다":   "it may have up to 40 letters, digits, '_' or '-'",
	"8~64자여야 합니다":                            "it must have 8 to 64 characters",
	"ID를 포함할 수 없습니다":                         "it must not contain the user id",
	"page는 1 이상이어야 합니다":                      "it must be 1 or more",
	"size는 1 이상 100 이하여야 합니다":                "it must be 1 to 100",
	"page × size는 10,000 이하여야 합니다":           "page x size must be 10,000 or less",
	"YYYY-MM-DD 형식의 올바른 날짜여야 합니다":            "it must be a day like 2026-12-31",
	"YYYY-MM 형식의 올바른 월이어야 합니다":               "it must be a month like 2026-12",
	"같은 역할을 두 번 지정할 수 없습니다":                  "a role is named twice",
	"같은 회선을 두 번 등록할 수 없습니다":                  "a line is named twice",
	"고객 계정만 회선을 가질 수 있습니다":                   "only accounts of customers have lines",
	"너무 흔히 쓰이는 비밀번호입니다":                      "it is one of the most common passwords",
	"다른 계정이 보유한 회선입니다":                       "another account holds the line",
	"만료 시각은 현재 이후여야 합니다":                     "it must be in the future",
	"비밀번호가 올바르지 않습니다":                        "the password is wrong",
	"사용할 수 없는 문자가 있습니다":                      "it has characters that are not allowed",
	"서명 중인 키는 폐기할 수 없습니다. 먼저 교체하세요":          "the key signs; rotate first",
	"시작 시각보다 늦어야 합니다":                        "it must be later than the beginning",
	"16진수 32자리여야 합니다":                        "it must be 32 hexadecimal digits",
	"알 수 없는 항목입니다":                           "it is unknown",
	"역할을 하나 이상 지정해야 합니다":                     "at least one role is needed",
	"올바른 UUID 형식이어야 합니다":                     "it must be a UUID",
	"올바른 이메일 형식이 아닙니다":                       "it is no mail address",
	"운영자와 관리자에게만 부여할 수 있는 권한입니다": "" +
		"the permission is for operators and administrators only",
	"이미 사용 중인 ID입니다": "the id is taken",
	"인증 앱의 6자리 코드 또는 복구 코드를 입력해주세요": "" +
		"enter the 6 digits of the authenticator app, or a recovery code",
	"지원하지 않는 비밀번호 해시 형식입니다 (argon2id)": "only argon2id hashes are taken",
	"코드가 올바르지 않거나 이미 사용되었습니다":          "the code is wrong or used",
	"회선은 50개까지 등록할 수 있습니다":             "an account has up to 50 lines",
	"현재 비밀번호와 달라야 합니다":                 "it must differ from the current password",
}

// englishMessages are messages that say more than their code.
var englishMessages = map[string]string{
	"2단계 인증이 등록된 계정만 운영자 또는 관리자가 될 수 있습니다": "" +
		"Only an account with a second factor can be that of an operator or administrator.",
	"다른 곳에서 먼저 변경되었습니다. 다시 조회해주세요": "It was changed meanwhile; read it again.",
	"다른 담당자의 확인이 필요합니다":            "Another person has to confirm it.",
	"본인이 신청한 회선 이전은 다른 담당자가 승인해야 합니다": "" +
		"Another person has to confirm a transfer that you proposed.",
	"승인 기한이 지난 회선 이전입니다. 다시 신청해주세요": "The time to confirm the transfer is over; propose it again.",
	"이미 승인된 회선 이전입니다":               "The transfer is confirmed already.",
	"마지막 관리자는 변경할 수 없습니다":           "The last administrator cannot be changed.",
	"본인의 계정은 관리할 수 없습니다":            "Nobody manages the own account.",
	"이미 처리 중이거나 완료된 요청은 취소할 수 없습니다": "What is being worked on or finished cannot be cancelled.",
	"이미 해제된 회선입니다. 처음 요청을 다시 보내주세요": "The line is free already: send the first request again.",
	"일부 서비스가 응답하지 않아 요청을 찾을 수 없습니다. 잠시 후 다시 시도해주세요": "" +
		"Some services do not answer, so the request cannot be found. Try again in a while.",
	"요금 조회는 취소할 수 없습니다": "A bill inquiry cannot be taken back.",
	"확인 대기 중인 요청이 아닙니다": "The request does not wait for a decision.",
	"회선번호 조회 한도를 초과하였습니다. 잠시 후 다시 시도해주세요": "" +
		"The limit of searches for a line is reached. Try again later.",
}

// englishFaults are shorter than the meanings of the catalogue, which are for developers.
var englishFaults = map[fault.Code]string{
	fault.ValidationError:     "The input is not valid",
	fault.UserNotFound:        "There is no such user",
	fault.ResourceNotFound:    "There is no such thing",
	fault.StateConflict:       "That cannot be done in the present state",
	fault.ServiceUnavailable:  "The service does not answer now; try again in a while",
	fault.PermissionDenied:    "The permission is missing",
	fault.RateLimitExceeded:   "Too many requests; try again later",
	fault.InternalServerError: "Something went wrong",
}

// englishEvents are the events of timelines.
var englishEvents = map[timeline.EventType]string{
	timeline.FromCache: "answered from a copy that is fresh", timeline.FromKOS: "answered by KOS",
	timeline.Stale: "answered from an older copy, for KOS gave no bill", timeline.TimedOut: "no answer in time",
	timeline.RenewedEarly: "KOS was called to renew a copy before its end", timeline.CheckPassed: "the checks were passed",
	timeline.CheckFailed: "a check failed", timeline.Dispatched: "the attempt was stored before it was sent to KOS",
	timeline.Waiting:      "waits for what the checks need of KOS",
	timeline.NotSent:      "it surely was not sent to KOS; it is sent later",
	timeline.Unknown:      "KOS gave no clear answer, so that the outcome is unknown",
	timeline.StillUnknown: "the outcome is still unknown",
	timeline.NotAtKOS:     "KOS does not have the change; it is sent again",
	timeline.Parked:       "KOS cannot tell; a person has to decide",
	timeline.Proposed:     "a person proposed an outcome; another one has to confirm it",
	timeline.Resolved:     "another person confirmed the outcome",
	timeline.AskedAgain:   "KOS is asked again, as a person decided",
	timeline.Cancelled:    "it was cancelled", timeline.CustomerNotified: "the customer was notified",
	timeline.Requested:      "the customer requested it",
	timeline.WaitedForQuota: "waited for a turn to call KOS", timeline.CalledKOS: "KOS was called",
	timeline.Completed: "it is done",
	timeline.Failed:    "it failed", timeline.DeliveryAttempted: "an attempt to deliver the result",
	timeline.Delivered: "the result was delivered", timeline.DeliveryParked: "the delivery was given up and is parked",
	timeline.DeliveryReplayed: "a person has the result delivered again",
}
