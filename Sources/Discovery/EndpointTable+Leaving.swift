// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

// MARK: When an instance leaves (docs/promises.md)

extension EndpointTable {
    /// Instances have lost their keys. Rule 1, `draining`, never comes here: such a member is not in use.
    /// - Parameter isMeant: one delete alone, and quiet before it (rule 2, if its lease says so too).
    mutating func leave(_ deleted: [Departure], isMeant: Bool, now: Duration) {
        for var departure in deleted {
            let endpoint = departure.member.endpoint
            // A key of the same revision may stand for the same endpoint.
            guard groups[endpoint]?.keys.isEmpty ?? false else { continue }
            departure.deletedAt = revision
            guard hold > .zero, !(isMeant && departure.lease == nil) else {
                if hold > .zero { meant.append(departure) }
                retire(endpoint, isLost: true)
                continue
            }
            if isMeant, let lease = departure.lease {
                departure.phase = .asking(until: now + Self.questionLimit)
                departure.question = nextQuestion(about: endpoint)
                actions.append(.askLease(lease, question: departure.question))
                wake(at: now + Self.questionLimit)
            } else {
                leaving.append(endpoint)
            }
            departures[endpoint] = departure
            departed[departure.key] = endpoint
        }
        decide(now)
    }

    /// The registry has answered about a lease. - Parameter isAlive: false also when it gave no answer.
    package mutating func leaseAnswered(_ question: Int, isAlive: Bool, now: Duration) -> [EndpointAction] {
        forgetDepartures(now)
        if let endpoint = questions.removeValue(forKey: question), departures[endpoint]?.question == question {
            if isAlive {
                if let departure = forget(endpoint) { meant.append(departure) }
                retire(endpoint, isLost: true)
            } else {
                departures[endpoint]?.phase = .leaving
                leaving.append(endpoint)
                decide(now)
            }
        }
        return finish(now)
    }

    /// Other keys went in the same revision, as it turns out: what rule 2 has let go, or asks about, is rule 3's.
    package mutating func deletedWithOthers(at revision: Int64, now: Duration) -> [EndpointAction] {
        forgetDepartures(now)
        for (endpoint, departure) in departures where departure.deletedAt == revision {
            guard case .asking = departure.phase else { continue }
            questions[departure.question] = nil
            departures[endpoint]?.phase = .leaving
            leaving.append(endpoint)
        }
        for var departure in meant where departure.deletedAt == revision {
            let endpoint = departure.member.endpoint
            // It may be back, or its key mean something else.
            guard groups[endpoint] == nil, departures[endpoint] == nil, entries[departure.key] == nil else { continue }
            departure.member = overridden(departure.member, key: departure.key.text)
            departure.phase = .leaving
            departures[endpoint] = departure
            departed[departure.key] = endpoint
            leaving.append(endpoint)
        }
        meant.removeAll { $0.deletedAt == revision }
        decide(now)
        return finish(now)
    }

    /// Watches of several services tell of one revision within moments of each other.
    mutating func forgetMeant(_ now: Duration) {
        if !meant.isEmpty {
            meant.removeAll { $0.leftAt <= now - ServiceTables.deletesRemembered - Self.questionLimit }
        }
    }

    /// Somebody has tried to connect.
    package mutating func probeAnswered(_ question: Int, accepts: Bool, now: Duration) -> [EndpointAction] {
        forgetDepartures(now)
        if let endpoint = questions.removeValue(forKey: question), let departure = departures[endpoint],
            departure.question == question, departure.until > now || groups[endpoint] != nil
        {
            // One that an operator has taken out meanwhile does not come back.
            if accepts, departure.member.isWilling {
                keep(endpoint, departure, now)
            } else {
                refuse(endpoint, departure)
            }
        }
        return finish(now)
    }

    /// - Parameter isStale: nothing can be learned from the registry at present: no hold ends for its age (rule 4).
    package mutating func timeReached(_ now: Duration, isStale: Bool) -> [EndpointAction] {
        forgetDepartures(now)
        endOverrides(now)
        earliest = nil
        for (endpoint, departure) in departures.sorted(by: { $0.key < $1.key }) where groups[endpoint] != nil {
            if case .asking(let until) = departure.phase, until <= now {
                departures[endpoint]?.phase = .leaving
                leaving.append(endpoint)
            } else if departure.until <= now, !isStale {
                endDeparture(endpoint, .expired)
            } else {
                wait(for: endpoint, departure, now)
            }
        }
        decide(now)
        return finish(now)
    }

    /// When `timeReached` is to be called at the latest; nil while nothing waits for time.
    package var nextDeadline: Duration? {
        let ends = overrides.isEmpty ? nil : overrides.values.compactMap(\.until).min()
        return [departures.isEmpty ? nil : earliest, ends].compactMap(\.self).min()
    }

    /// A departure in use goes on; probes that are due are made.
    private mutating func wait(for endpoint: Endpoint, _ departure: Departure, _ now: Duration) {
        if departure.until <= now { departures[endpoint]?.until = now + Self.probeInterval }
        wake(at: max(departure.until, now + Self.slack))
        switch departure.phase {
        case .asking(let until): wake(at: until)
        case .held(let nextProbe) where nextProbe <= now + Self.slack: probe(endpoint)
        case .held(let nextProbe): wake(at: nextProbe)
        case .leaving, .gone, .probing, .refused: break
        }
    }

    private mutating func wake(at time: Duration) { earliest = min(earliest ?? time, time) }

    // MARK: Rule 3

    /// Decides on those that are leaving: at once, unless too much has gone of late.
    private mutating func decide(_ now: Duration) {
        let leaving = self.leaving.filter { departures[$0]?.phase == .leaving }
        self.leaving = []
        guard !leaving.isEmpty else { return }
        let gone = departures.values.count { $0.counts && $0.leftAt > now - hold }
        let largest = max(present, sizes.largest(now: now, window: hold))
        guard present == 0 || gone * 2 >= largest else {
            for endpoint in leaving {
                departures[endpoint]?.phase = .gone
                retire(endpoint, isLost: true)
            }
            return
        }
        // Those that left before are asked first: they are missing already.
        let before = departures.filter { $0.value.phase == .gone }.keys.sorted()
        for endpoint in before + leaving {
            probe(endpoint)
            if let until = departures[endpoint]?.until { wake(at: until) }
        }
    }

    private mutating func probe(_ endpoint: Endpoint) {
        let question = nextQuestion(about: endpoint)
        departures[endpoint]?.phase = .probing
        departures[endpoint]?.question = question
        actions.append(.probe(endpoint, question: question))
    }

    /// A probed instance accepts: it is held, and back in use if it was not.
    private mutating func keep(_ endpoint: Endpoint, _ departure: Departure, _ now: Duration) {
        departures[endpoint]?.phase = .held(nextProbe: now + Self.probeInterval)
        departures[endpoint]?.isHeld = true
        wake(at: min(now + Self.probeInterval, departure.until))
        if groups[endpoint] == nil {
            groups[endpoint] = Group(identity: departure.key, keys: [], member: departure.member)
            touched.insert(endpoint)
            hasChanged = true
        }
        guard !departure.isHeld else { return }
        actions.append(.tell(.held(key: departure.key.text, endpoint, until: departure.until)))
    }

    /// A probed instance does not accept. It still counts as gone, and is not asked again until its key returns.
    private mutating func refuse(_ endpoint: Endpoint, _ departure: Departure) {
        departures[endpoint]?.phase = .refused
        departures[endpoint]?.isHeld = false
        retire(endpoint, isLost: true)
        guard departure.isHeld else { return }
        actions.append(.tell(.holdEnded(key: departure.key.text, endpoint, .refused)))
    }

    // MARK: Forgetting

    /// Ends a departure: what is still in use leaves, unless it is returning.
    mutating func endDeparture(_ endpoint: Endpoint, _ reason: HoldEnd, isReturning: Bool = false) {
        guard let departure = forget(endpoint) else { return }
        if !isReturning { retire(endpoint, isLost: reason == .expired) }
        guard departure.isHeld else { return }
        actions.append(.tell(.holdEnded(key: departure.key.text, endpoint, reason)))
    }

    /// Drops what left so long ago that it no longer counts, a second's worth at a time. What is in use waits for
    /// `timeReached`.
    mutating func forgetDepartures(_ now: Duration) {
        guard now - lastForgotten >= Self.forgetInterval else { return }
        lastForgotten = now
        for (endpoint, departure) in departures where departure.until <= now && groups[endpoint] == nil {
            forget(endpoint)
        }
    }

    @discardableResult
    private mutating func forget(_ endpoint: Endpoint) -> Departure? {
        guard let departure = departures.removeValue(forKey: endpoint) else { return nil }
        if departed[departure.key] == endpoint { departed[departure.key] = nil }
        questions[departure.question] = nil
        return departure
    }

    private mutating func nextQuestion(about endpoint: Endpoint) -> Int {
        if let open = departures[endpoint]?.question { questions[open] = nil }
        lastQuestion += 1
        questions[lastQuestion] = endpoint
        return lastQuestion
    }
}
