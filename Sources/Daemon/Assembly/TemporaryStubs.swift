package enum ProxyDaemon { package static func run(_ c: ProxyConfiguration) async -> Int32 { 0 } }
package enum ServicesQuery { package static func run(_ c: QueryConfiguration) async -> Int32 { 0 } }
