// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel
import Synchronization
import TestSupport

/// An engine that says what the test tells it to.
final class ScriptedEngine: Engine {
    enum Call: Hashable, Sendable {
        case negotiate, follow, list
        case inspect(String)
    }

    private struct State {
        var calls: [Call] = []
        var containers: [Container] = []
        var failure: DockerError?
        var listFailure: DockerError?
        var tellsOfSubscription = true
        var heard: (@Sendable (EngineEvent) -> Void)?
        var end = Signal()
        var inspections: [String: Inspection] = [:]
        var inspectFailure: (containers: Set<String>?, error: DockerError)?
    }

    private let state = Mutex(State())

    var calls: [Call] { state.withLock { $0.calls } }

    func has(_ containers: [Container]) { state.withLock { $0.containers = containers } }
    /// By container; one that is not here is gone.
    func has(inspections: [String: Inspection]) { state.withLock { $0.inspections = inspections } }
    /// - Parameter containers: of these alone; nil: of all.
    func failsToInspect(_ error: DockerError, of containers: Set<String>? = nil) {
        state.withLock { $0.inspectFailure = (containers, error) }
    }
    /// Nil: it answers.
    func fails(_ failure: DockerError?) { state.withLock { $0.failure = failure } }
    func failsToList(_ failure: DockerError?) { state.withLock { $0.listFailure = failure } }
    func keepsSubscriptionsToItself() { state.withLock { $0.tellsOfSubscription = false } }
    func tells(_ event: EngineEvent) { state.withLock { $0.heard }?(event) }
    func endsEvents() { state.withLock { $0.end }.raise() }

    private func called(_ call: Call) throws(DockerError) {
        let failure = state.withLock { state in
            state.calls.append(call)
            return state.failure
        }
        if let failure { throw failure }
    }

    func negotiate() async throws(DockerError) -> APIVersion {
        try called(.negotiate)
        return APIVersion(1, 41)
    }

    func containers(_ version: APIVersion) async throws(DockerError) -> [Container] {
        try called(.list)
        if let failure = state.withLock({ $0.listFailure }) { throw failure }
        return state.withLock { $0.containers }
    }

    func inspection(of container: String, _ version: APIVersion) async throws(DockerError) -> Inspection? {
        try called(.inspect(container))
        if let failure = state.withLock({ $0.inspectFailure }), failure.containers?.contains(container) ?? true {
            throw failure.error
        }
        return state.withLock { $0.inspections[container] }
    }

    func follow(
        _ version: APIVersion, subscribed: @escaping @Sendable () -> Void,
        heard: @escaping @Sendable (EngineEvent) -> Void
    ) async throws(DockerError) {
        try called(.follow)
        let (end, tells) = state.withLock { state in
            state.heard = heard
            state.end = Signal()
            return (state.end, state.tellsOfSubscription)
        }
        if tells { subscribed() }
        await end.wait()
        state.withLock { $0.heard = nil }
    }
}
