package e164

import (
	"strconv"
	"testing"
	"time"
)

func overlayOf(t testing.TB, overrides ...Override) Plan {
	t.Helper()
	for i := range overrides {
		overrides[i].ID = int64(i + 1)
	}
	return Plan{Overlay: NewOverlay(overrides), AtMicros: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).UnixMicro()}
}

func TestOverlayDecidesFirst(t *testing.T) {
	us, de := home(t, "US"), home(t, "DE")
	year := func(y int) int64 { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() }
	plan := overlayOf(t,
		Override{Prefix: 1436, Valid: true, Country: us},
		Override{Prefix: 12125, Valid: false},
		Override{Prefix: 1212555, Valid: true, HasType: true, Type: TypePremiumRate},
		Override{Prefix: 49, Valid: true},
		Override{Prefix: 4932, Valid: true, HasType: true, Type: TypeFixedLine},
		Override{Prefix: 999, Valid: true, Country: de, MinDigits: 8, MaxDigits: 9},
		Override{Prefix: 1621, Valid: true, Country: us, UntilMicros: year(2026)},
		Override{Prefix: 1621, Valid: true, Country: us, FromMicros: year(2027)},
		Override{Prefix: 1679, Valid: true, Country: us, FromMicros: year(2026), UntilMicros: year(2027)},
		Override{Prefix: 490912, Valid: true, HasType: true, Type: TypeFixedLine},
	)
	for _, c := range []struct {
		dialled, home, number string
		override              int64
		country               string
		judged                NumberType
	}{
		{"+14362345678", "", "+14362345678", 1, "US", TypeUnknown},
		{"14362345678", "", "+14362345678", 1, "US", TypeUnknown},
		{"4362345678", "US", "+14362345678", 1, "US", TypeUnknown},
		{"01114362345678", "US", "+14362345678", 1, "US", TypeUnknown},
		{"+1 1 436 234 5678", "", "+14362345678", 1, "US", TypeUnknown},
		{"+143623456789", "", "", 1, "", 0},
		{"+12125650123", "", "", 2, "", 0},
		{"+12125550123", "", "+12125550123", 3, "US", TypePremiumRate}, // the longest prefix
		{"+12126550123", "", "+12126550123", 0, "US", TypeFixedLineOrMobile},
		{"+49 0 900 1234567", "", "+499001234567", 4, "DE", TypePremiumRate}, // a wide one opens nothing
		{"+49 900 12345678", "", "+4990012345678", 4, "DE", TypePremiumRate},
		{"+49 32 1234567", "", "+49321234567", 5, "DE", TypeFixedLine},
		{"+99912345", "", "+99912345", 6, "DE", TypeUnknown},
		{"+9991234567", "", "", 6, "", 0},
		{"+16212345678", "", "", 0, "", 0}, // between two of them
		{"+16792345678", "", "+16792345678", 9, "US", TypeUnknown},
		{"+4909 1234567", "", "+49091234567", 10, "DE", TypeFixedLine}, // says that the 0 belongs to it
	} {
		from := Country(0)
		if c.home != "" {
			from = home(t, c.home)
		}
		n, err := plan.Normalise(c.dialled, from)
		j, ok := plan.Judge(n)
		if err != nil || !ok {
			n = 0
		}
		if n.String() != c.number || ok != plan.Valid(n) && n != 0 {
			t.Errorf("%s from %s: %q (%v, %v), want %q", c.dialled, c.home, n, err, ok, c.number)
			continue
		}
		if n != 0 && (j.Override != c.override || j.Country.Alpha2() != c.country || j.Dearest() != c.judged) {
			t.Errorf("%s: override %d, %s, %s; want %d, %s, %s", c.dialled, j.Override, j.Country, j.Dearest(), c.override,
				c.country, c.judged)
		}
	}
	if NewOverlay(nil) != nil {
		t.Error("no overrides are not nil")
	}
}

func TestCoversEmergency(t *testing.T) {
	for prefix, want := range map[Number]bool{
		911: true, 112: true, 999: true, 110: true, 9: true, 11: true, 99: true, 1911: true, 44999: true, 49112: true,
		1112: true,
		1:    false, 44: false, 91: false, 9111: false, 998: false, 992: false, 1436: false, 49: false, 91112: false,
		12:     false,
		999123: false,
	} {
		if got := CoversEmergency(prefix); got != want {
			t.Errorf("%d: %v, want %v", prefix, got, want)
		}
	}
}

func thousands(t testing.TB) Plan {
	var overrides []Override
	for i := range 5000 {
		overrides = append(overrides, Override{Prefix: Number(1_000_000 + i*1_777), Valid: true})
	}
	for length := Number(1); length < 1e14; length *= 10 {
		overrides = append(overrides, Override{Prefix: 8 * length, Valid: true})
	}
	return overlayOf(t, overrides...)
}

func TestOverlayAllocatesNothing(t *testing.T) {
	plan := thousands(t)
	if allocations := testing.AllocsPerRun(100, func() {
		plan.Override(447400123456)
		_, _ = plan.Judge(12015550123)
	}); allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
}

func BenchmarkOverlay(b *testing.B) {
	for count, plan := range map[int]Plan{0: {}, 5000: thousands(b)} {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				plan.Override(447400123456)
			}
		})
	}
}
