// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import ServiceModel

/// What a `ContainerRegistrar` tells: every change of state once.
struct ContainerLog {
    private let logger: Logger
    private let selector: ContainerSelector
    private var isLost = false
    private var hasFound = false
    private var waitingFor: ContainerVerdict.Absence?
    private var problem: String?

    init(logger: Logger, selector: ContainerSelector) {
        self.logger = logger
        self.selector = selector
    }

    /// - Parameter error: why the engine is away; nil while it is there.
    mutating func engine(lost error: DockerError?) {
        guard isLost != (error != nil) else { return }
        isLost = error != nil
        if let error {
            logger.warning("container engine cannot be reached", metadata: ["error": "\(error)"])
        } else {
            logger.info("container engine answers again")
        }
    }

    mutating func found(_ sighting: ContainerVerdict.Sighting, at endpoint: Endpoint) {
        guard !hasFound else { return }
        hasFound = true
        waitingFor = nil
        problem = nil
        logger.info(
            "container found", metadata: metadata(["name": "\(sighting.container)", "endpoint": "\(endpoint)"]))
    }

    /// What it never was, or is no longer. While a container that was there is away, its states on the way are nobody's
    /// news, but that it came back without its port is.
    mutating func absent(_ why: ContainerVerdict.Absence) {
        // Before the first listing there is nothing to tell of the container.
        guard why != .unlisted else { return }
        let isGone = hasFound
        hasFound = false
        guard isGone || waitingFor == nil || (why.isMisconfigured && waitingFor != why) else { return }
        waitingFor = why
        let message: Logger.Message = isGone ? "container gone" : "waiting for the container"
        logger.info(message, metadata: metadata(["why": "\(why)"]))
    }

    /// It is there, but cannot be published.
    mutating func unpublishable(_ error: any Error) {
        hasFound = false
        guard problem != "\(error)" else { return }
        problem = "\(error)"
        logger.error("container cannot be published", metadata: metadata(["error": "\(error)"]))
    }

    private func metadata(_ more: Logger.Metadata) -> Logger.Metadata {
        more.merging(["container": "\(selector.name)", "port": "\(selector.port)"]) { own, _ in own }
    }
}
