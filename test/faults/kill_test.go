package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// killedEmbedded kills a node with its own database again and again under load.
func killedEmbedded(b *bench) {
	n := b.sqliteNode(b.TempDir()).start()
	s := b.configure(nil, n)
	phones, l := s.startCalls(15, 300*time.Millisecond), s.startSwitch("pbx", 15)
	begin, end := b.emergencies(n)
	begin()
	kills := b.times(200, 4)
	for range kills {
		l.await(20)
		b.wait(rand.N(120 * time.Millisecond))
		n.kill()
		n.start()
	}
	phones.await(20)
	end()
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × SIGKILL", kills), phones.String()+"; "+l.String())
}

// killedNode kills the nodes of a cluster in turn under load.
func killedNode(b *bench) {
	url, _ := b.newDatabase()
	first, second := b.clusterNode("first", url).start(), b.clusterNode("second", url)
	s := b.configure(nil, first)
	s.nodes = append(s.nodes, second.start())
	phones, l := s.startCalls(15, 300*time.Millisecond), s.startSwitch("pbx", 15)
	begin, end := b.emergencies(s.nodes...)
	begin()
	kills := b.times(60, 2)
	for i := range kills {
		l.await(20)
		b.wait(rand.N(120 * time.Millisecond))
		s.nodes[i%2].kill()
		l.await(20) // the other one goes on
		s.nodes[i%2].start()
	}
	phones.await(20)
	end()
	s.conclude(phones, l)
	b.did(fmt.Sprintf("%d × SIGKILL, in turn", kills), phones.String()+"; "+l.String())
}
