// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// The questions that an engine is ever asked: three, and a fourth by a feed that is told to inspect. Nothing
/// else: whoever answers them may refuse all the rest.
package protocol Engine: Sendable {
    /// `_ping`: the version of the API to speak, known by both sides.
    func negotiate() async throws(DockerError) -> APIVersion

    /// `containers/json`: all of them, running or not, as lists show them.
    func containers(_ version: APIVersion) async throws(DockerError) -> [Container]

    /// `containers/<id>/json`.
    /// - Returns: nil when it is gone.
    func inspection(of container: String, _ version: APIVersion) async throws(DockerError) -> Inspection?

    /// `events`: reads them until their stream ends, which is no error.
    /// - Parameters:
    ///   - subscribed: called when the engine has said that it will tell of events; some say so only with the first.
    ///   - heard: called for each.
    func follow(
        _ version: APIVersion, subscribed: @escaping @Sendable () -> Void,
        heard: @escaping @Sendable (EngineEvent) -> Void
    ) async throws(DockerError)
}

/// What no list says of a container, and nothing of which ever changes.
package struct Inspection: Sendable, Hashable {
    /// As it was named when the container was made, whatever has become of that name since; empty when the engine does not
    /// say.
    package let image: String
    /// The variables that begin with `SERVICE_`.
    package let environment: [String: String]

    package init(image: String = "", environment: [String: String] = [:]) {
        self.image = image
        self.environment = environment
    }
}

/// One element of the stream of events, as far as it is of use.
package enum EngineEvent: Sendable, Hashable {
    case container(ContainerEvent)
    /// Something else that may change what the list says: a container joined a network, or left it; or that could not be
    /// read.
    case other
}
