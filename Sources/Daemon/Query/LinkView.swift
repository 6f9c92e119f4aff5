// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
package import Registry
package import ServiceModel

/// What a link goes by when it judges entries: the settings of a proxy whose eyes a query looks through.
package struct LinkView: Sendable {
    package var policy: TargetPolicy
    package var sources: [ServiceName: EntrySource]
    /// Of services that are not in `sources`; without a prefix.
    package var otherSources: EntrySource
    /// Whose hosts may be names.
    package var resolving: ServiceValues<Bool>
    /// Of services that are not in `selections`.
    package var general: Selection
    package var selections: [ServiceName: Selection]

    package init(
        policy: TargetPolicy = TargetPolicy(), sources: [ServiceName: EntrySource] = [:],
        otherSources: EntrySource = EntrySource(), resolving: ServiceValues<Bool> = ServiceValues(),
        general: Selection = Selection(),
        selections: [ServiceName: Selection] = [:]
    ) {
        self.policy = policy
        self.sources = sources
        self.otherSources = otherSources
        self.resolving = resolving
        self.general = general
        self.selections = selections
    }

    package func source(of service: ServiceName) -> EntrySource {
        var source = sources[service] ?? otherSources
        source.resolvesNames = resolving[service] ?? false
        return source
    }

    package func selection(of service: ServiceName) -> Selection { selections[service] ?? general }

    /// Where services stand that have a prefix of their own.
    package var prefixes: [ServiceName: RegistryRange] {
        sources.compactMapValues { source in source.prefix.map { .prefix("\($0)/") } }
    }
}
