package kossim

import "phonebill/adapters/kos/internal/kosgen"

const (
	operator      = "MVNO-001" // ours
	otherOperator = "MVNO-002"
	startPlan     = "LTE-PREMIUM-001" // every line starts on it
	unlimited     = "무제한"

	onSale       = "ACTIVE"
	discontinued = "DISCONTINUED"
)

// plan is one plan of the catalogue.
type plan struct {
	code, name   string
	fee          int64 // won a month
	dataGB       int64 // 0 = unlimited
	voice, sms   string
	network      string
	description  string
	operatorCode string
	status       string
}

// catalogue lists the plans in the order of KOS's answer.
func catalogue() []plan {
	return []plan{
		{"5G-PREMIUM-001", "5G 프리미엄 플랜", 89_000, 0, unlimited, unlimited, "5G", "5G 데이터, 음성과 문자 모두 무제한",
			operator, onSale},
		{
			"5G-STANDARD-001", "5G 스탠다드 플랜", 69_000, 100, unlimited, unlimited, "5G",
			"5G 데이터 100GB, 음성과 문자 무제한", operator, onSale,
		},
		{
			"LTE-PREMIUM-001", "LTE 프리미엄 플랜", 59_000, 50, unlimited, unlimited, "LTE",
			"LTE 데이터 50GB, 음성과 문자 무제한", operator, onSale,
		},
		{"LTE-BASIC-001", "LTE 베이직 플랜", 39_000, 20, "300분", "200건", "LTE", "LTE 데이터 20GB, 음성 300분",
			operator, onSale},
		{"3G-OLD-001", "3G 올드 플랜", 29_000, 5, "500분", "100건", "3G", "판매가 종료된 3G 요금제", operator, discontinued},
		{"OTHER-LTE-001", "타사 LTE 플랜", 49_000, 30, unlimited, unlimited, "LTE", "다른 사업자의 LTE 요금제",
			otherOperator, onSale},
	}
}

// planOf finds a plan by its code.
func planOf(code string) (plan, bool) {
	for _, p := range catalogue() {
		if p.code == code {
			return p, true
		}
	}
	return plan{}, false
}

func (p plan) wire() kosgen.Product {
	data := unlimited
	if p.dataGB > 0 {
		data = gigabytes(p.dataGB * 10)
	}
	return kosgen.Product{
		ProductCode: p.code, ProductName: p.name, MonthlyFee: p.fee, DataAllowance: &data, VoiceAllowance: &p.voice,
		SmsAllowance: &p.sms, NetworkType: &p.network, Description: &p.description, OperatorCode: p.operatorCode,
		Status: p.status,
	}
}
