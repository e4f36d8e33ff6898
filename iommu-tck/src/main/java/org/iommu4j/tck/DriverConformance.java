// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.driver.AttachingContract;
import org.iommu4j.tck.driver.DeviceContract;
import org.iommu4j.tck.driver.DirtyTrackingContract;
import org.iommu4j.tck.driver.DomainContract;
import org.iommu4j.tck.driver.DriverClosingContract;
import org.iommu4j.tck.driver.DriverContract;
import org.iommu4j.tck.driver.EnforcementContract;
import org.iommu4j.tck.driver.FaultContract;
import org.iommu4j.tck.driver.IsolationContract;
import org.iommu4j.tck.driver.MappingContract;
import org.iommu4j.tck.driver.NestingContract;
import org.iommu4j.tck.driver.OpeningOnMachineContract;
import org.iommu4j.tck.driver.PageRequestContract;
import org.iommu4j.tck.driver.PasidContract;
import org.iommu4j.tck.driver.PortContract;
import org.iommu4j.tck.driver.UnmappingContract;
import org.junit.jupiter.api.Nested;

/**
 * The promises of an opened driver, its devices and its domains, on machines with the vendor's silicon.
 *
 * <p>A vendor's test class extends this and has a static method {@code subjects()} without parameters:
 *
 * <pre>{@code
 * class MinimalDriverTest extends DriverConformance {
 *     static Stream<Subject> subjects() {
 *         return Subject.both(MinimalSilicon.machine(), Traits.builder().addressBits(32).can(IDENTITY).build());
 *     }
 * }
 * }</pre>
 */
public abstract class DriverConformance extends Conformance {
    /** Made by JUnit. */
    protected DriverConformance() {}

    /** {@link org.iommu4j.IommuDomain#map} and {@link org.iommu4j.IommuDomain#syncMap}. */
    @Nested
    class Mapping extends MappingContract {}

    /** {@link org.iommu4j.IommuDomain#unmap} and {@link org.iommu4j.IommuDomain#sync}. */
    @Nested
    class Unmapping extends UnmappingContract {}

    /** What holds of a domain as such: its kind, sizes, aperture, translations, threads, its closing. */
    @Nested
    class Domains extends DomainContract {}

    /** Random steps against an oracle: no reach outside the domain, nothing stale after a sync. */
    @Nested
    class Isolation extends IsolationContract {}

    /** {@link org.iommu4j.Iommu} as such: units, probing, capabilities, allocation. */
    @Nested
    class Drivers extends DriverContract {}

    /** {@link org.iommu4j.Iommu#close}. */
    @Nested
    class Closing extends DriverClosingContract {}

    /** {@link org.iommu4j.IommuDevice}. */
    @Nested
    class Devices extends DeviceContract {}

    /** {@link org.iommu4j.IommuDomain#attach} and {@link org.iommu4j.IommuDomain#detach}. */
    @Nested
    class Attaching extends AttachingContract {}

    /** {@link org.iommu4j.capability.CacheCoherencyEnforcement}. */
    @Nested
    class Enforcing extends EnforcementContract {}

    /** {@link org.iommu4j.Iommu#takeFaults} and quarantined frames. */
    @Nested
    class Faults extends FaultContract {}

    /** {@link org.iommu4j.capability.DirtyTracking}. */
    @Nested
    class WrittenPages extends DirtyTrackingContract {}

    /** {@link org.iommu4j.capability.PasidAttachment}. */
    @Nested
    class Pasids extends PasidContract {}

    /** {@link org.iommu4j.capability.PageRequests}. */
    @Nested
    class RequestedPages extends PageRequestContract {}

    /** {@link org.iommu4j.capability.Nesting} and {@link org.iommu4j.capability.GuestInvalidation}. */
    @Nested
    class Nests extends NestingContract {}

    /** What a driver does with its ports: {@link org.iommu4j.spi.VendorContext}. */
    @Nested
    class PortUse extends PortContract {}

    /** {@link org.iommu4j.spi.IommuVendor#open} and {@link org.iommu4j.spi.IommuVendor#describe} on a machine. */
    @Nested
    class OpeningOnMachine extends OpeningOnMachineContract {}
}
