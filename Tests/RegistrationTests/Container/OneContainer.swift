// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel
import Testing

@testable import Registration

/// One port of one container, as an operator names it, over the lives of all.
struct OneContainer {
    private var lives = ContainerLives()
    private var claimed: ClaimedContainers

    init(_ name: String = "redis", _ transport: ContainerPort.Transport = .tcp, network: String? = nil) throws {
        let claim = ContainerClaim(
            service: try #require(ServiceName("redis-A")), port: 6379, transport: transport, network: network)
        let selector = ContainerSelector(name: name, port: 6379, transport: transport)
        claimed = ClaimedContainers(.one(selector, claim))
    }

    mutating func listed(_ containers: [Container], now: Duration) {
        lives.listed(containers, now: now)
        claimed.listed(lives.containers ?? [])
    }

    mutating func happened(_ event: ContainerEvent, now: Duration) { lives.happened(event, now: now) }
    mutating func lost() { lives.lost() }
    mutating func timeReached(_ now: Duration) { lives.timeReached(now) }

    var deadline: Duration? { lives.deadline }

    /// There is exactly one finding, whatever the engine lists.
    var verdict: ContainerVerdict {
        let findings = claimed.findings(lives)
        #expect(findings.count == 1)
        return findings.first?.verdict ?? .absent(.unlisted)
    }

    var state: InstanceRecord.State? {
        guard case .present(let sighting) = verdict else { return nil }
        return sighting.state
    }
}
