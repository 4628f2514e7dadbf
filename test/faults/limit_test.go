package faults

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

func raceEmbedded(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	b.race(b.configure(nil, n))
}

func raceShared(b *bench) {
	url, _ := b.newDatabase()
	b.race(b.twoNodes(url, url))
}

// race has a thousand requests at once want the last ten channels, and then the last
// sixty cents.
func (b *bench) race(s *site) {
	begin, end := b.emergencies(s.nodes...)
	begin()
	rounds, callers := b.times(10, 1), b.times(1000, 200)
	const channels = 10
	for round := range rounds {
		s.set(object{"concurrent_call_limit": channels, "daily_spend_limit": "1000.00"})
		if won := s.racers(fmt.Sprint("channel-", round), callers); won != channels {
			b.Errorf("I1: %d of %d callers took one of %d channels", won, callers, channels)
		}
		s.release()
	}
	for round := range rounds {
		posted, _ := s.usage()
		limit := new(big.Rat).Add(posted, big.NewRat(60, 100))
		s.set(object{"concurrent_call_limit": nil, "daily_spend_limit": limit.FloatString(2)})
		won := s.racers(fmt.Sprint("cent-", round), callers)
		posted, held := s.usage()
		left := new(big.Rat).Sub(limit, new(big.Rat).Add(posted, held))
		if left.Sign() < 0 || left.Cmp(big.NewRat(1, 100)) >= 0 {
			b.Errorf("I2: %d callers hold %s, and %s of 0.60 are left: want less than a second's price", won,
				held.FloatString(3), left.FloatString(3))
		}
		s.release()
	}
	end()
	s.conclude(nil, nil)
	b.did(fmt.Sprintf("%d × %d requests at once, for channels and for cents", rounds, callers),
		fmt.Sprintf("%d requests", 2*rounds*callers))
}

func (s *site) set(fields object) {
	s.b.Helper()
	s.nodes[0].must(http.MethodPatch, "/v2/outbound_voice_profiles/"+s.profile, fields)
}

// racers have calls admitted at once and count them.
func (s *site) racers(name string, callers int) int {
	var won atomic.Int64
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range callers {
		group.Go(func() {
			<-start
			for {
				status, answer, err := s.nodes[i%len(s.nodes)].call(http.MethodPost, "/tollgate/v1/admissions",
					s.attempt(fmt.Sprint(name, "-", i), "+12125550123"))
				if err != nil || status == http.StatusServiceUnavailable {
					continue // the same attempt again has one effect
				}
				data, _ := answer["data"].(object)
				if data["decision"] == "allow" {
					won.Add(1)
				} else if status != http.StatusOK {
					s.b.Errorf("%d: %v", status, answer)
				}
				return
			}
		})
	}
	close(start)
	group.Wait()
	return int(won.Load())
}

// release ends all live calls of switches.
func (s *site) release() {
	for call := range s.nodes[0].live() {
		_, _, _ = s.nodes[0].call(http.MethodPost, "/tollgate/v1/admissions/"+call+"/end", object{"duration_secs": 1})
	}
}

// usage is what the profile has posted and holds today.
func (s *site) usage() (posted, held *big.Rat) {
	s.b.Helper()
	usage := s.nodes[0].must(http.MethodGet, "/tollgate/v1/outbound_voice_profiles/"+s.profile+"/usage", nil)
	posted, _ = new(big.Rat).SetString(usage["posted"].(string))
	held, _ = new(big.Rat).SetString(usage["held"].(string))
	return posted, held
}

func changedLimits(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	b.changeLimits(b.configure(nil, n))
}

func changedLimitsShared(b *bench) {
	url, _ := b.newDatabase()
	b.changeLimits(b.twoNodes(url, url))
}

// changeLimits changes limits at random under load. The audit knows which was in
// force when; a profile that is switched off refuses at once, at every node.
func (b *bench) changeLimits(s *site) {
	phones, l := s.startCalls(10, 200*time.Millisecond), s.startSwitch("pbx", 20)
	begin, end := b.emergencies(s.nodes...)
	begin()
	changes := b.times(300, 40)
	for i := range changes {
		posted, _ := s.usage()
		limit := new(big.Rat).Add(posted, big.NewRat(rand.Int64N(300), 100))
		s.set(object{
			"concurrent_call_limit": rand.IntN(12), "daily_spend_limit": limit.FloatString(2), "enabled": i%10 != 9,
			"spend_limit_action": []string{"end_calls", "block_new_calls"}[rand.IntN(2)],
		})
		for _, n := range s.nodes {
			if i%10 != 9 {
				break
			}
			status, answer, err := n.call(http.MethodPost, "/tollgate/v1/admissions",
				s.attempt(fmt.Sprint("off-", i, n.api), "+12125550123"))
			data, _ := answer["data"].(object)
			if err != nil || status != http.StatusOK || data["reason"] != "profile_disabled" {
				b.Errorf("I9: a profile that was switched off answers %d %v, %v", status, answer, err)
			}
		}
		b.wait(rand.N(10 * time.Millisecond))
	}
	end()
	s.set(object{"concurrent_call_limit": 40, "daily_spend_limit": "100000.00", "enabled": true})
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d changes of channels, money, action and enabled", changes), phones.String()+"; "+l.String())
}
