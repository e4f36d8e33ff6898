// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.tck;

import org.iommu4j.tck.driver.AllocatingContract;
import org.iommu4j.tck.driver.AttachingContract;
import org.iommu4j.tck.driver.DetachingContract;
import org.iommu4j.tck.driver.DeviceContract;
import org.iommu4j.tck.driver.DirtyReadingContract;
import org.iommu4j.tck.driver.DirtyTrackingContract;
import org.iommu4j.tck.driver.DomainCapabilityContract;
import org.iommu4j.tck.driver.DomainClosingContract;
import org.iommu4j.tck.driver.DomainContract;
import org.iommu4j.tck.driver.DriverClosingContract;
import org.iommu4j.tck.driver.DriverContract;
import org.iommu4j.tck.driver.EnforcementContract;
import org.iommu4j.tck.driver.FaultContract;
import org.iommu4j.tck.driver.GatherContract;
import org.iommu4j.tck.driver.GuestInvalidationContract;
import org.iommu4j.tck.driver.IsolationContract;
import org.iommu4j.tck.driver.MappingContract;
import org.iommu4j.tck.driver.MappingRefusalContract;
import org.iommu4j.tck.driver.NestingContract;
import org.iommu4j.tck.driver.OpeningOnMachineContract;
import org.iommu4j.tck.driver.PageRequestContract;
import org.iommu4j.tck.driver.PageResponseContract;
import org.iommu4j.tck.driver.PasidContract;
import org.iommu4j.tck.driver.PasidDetachingContract;
import org.iommu4j.tck.driver.PlatformContract;
import org.iommu4j.tck.driver.PortContract;
import org.iommu4j.tck.driver.ProbingContract;
import org.iommu4j.tck.driver.RefusedAttachmentContract;
import org.iommu4j.tck.driver.RightsContract;
import org.iommu4j.tck.driver.SyncContract;
import org.iommu4j.tck.driver.SyncMapContract;
import org.iommu4j.tck.driver.TranslatingContract;
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

    /** {@link org.iommu4j.IommuDomain#map}: what is mapped is reached, all of it or nothing. */
    @Nested
    class Mapping extends MappingContract {}

    /** {@link org.iommu4j.IommuDomain#map}: rights to read and to write. */
    @Nested
    class Rights extends RightsContract {}

    /** {@link org.iommu4j.IommuDomain#map}: what is refused. */
    @Nested
    class MappingRefusals extends MappingRefusalContract {}

    /** {@link org.iommu4j.IommuDomain#syncMap}. */
    @Nested
    class SyncingMaps extends SyncMapContract {}

    /** {@link org.iommu4j.IommuDomain#unmap}. */
    @Nested
    class Unmapping extends UnmappingContract {}

    /** {@link org.iommu4j.IommuDomain#unmap}: what it adds to the gather. */
    @Nested
    class Gathering extends GatherContract {}

    /** {@link org.iommu4j.IommuDomain#sync}. */
    @Nested
    class Syncing extends SyncContract {}

    /** What holds of a domain as such: its kind, sizes, aperture, threads. */
    @Nested
    class Domains extends DomainContract {}

    /** {@link org.iommu4j.IommuDomain#translate}. */
    @Nested
    class Translating extends TranslatingContract {}

    /** Which capabilities a domain has. */
    @Nested
    class DomainCapabilities extends DomainCapabilityContract {}

    /** {@link org.iommu4j.IommuDomain#close}. */
    @Nested
    class ClosingDomains extends DomainClosingContract {}

    /** Random steps against an oracle: no reach outside the domain, nothing stale after a sync. */
    @Nested
    class Isolation extends IsolationContract {}

    /** {@link org.iommu4j.Iommu} as such: how it opens, what it says of itself and of devices. */
    @Nested
    class Drivers extends DriverContract {}

    /** {@link org.iommu4j.Iommu#probe} of functions and of named devices. */
    @Nested
    class Probing extends ProbingContract {}

    /** {@link org.iommu4j.Iommu#allocate}. */
    @Nested
    class Allocating extends AllocatingContract {}

    /** {@link org.iommu4j.Iommu#close}. */
    @Nested
    class Closing extends DriverClosingContract {}

    /** {@link org.iommu4j.IommuDevice}. */
    @Nested
    class Devices extends DeviceContract {}

    /** {@link org.iommu4j.IommuDomain#attach}. */
    @Nested
    class Attaching extends AttachingContract {}

    /** {@link org.iommu4j.IommuDomain#attach}: what is refused, and leaves the device where it was. */
    @Nested
    class RefusedAttachments extends RefusedAttachmentContract {}

    /** {@link org.iommu4j.IommuDomain#detach}. */
    @Nested
    class Detaching extends DetachingContract {}

    /** {@link org.iommu4j.capability.CacheCoherencyEnforcement}. */
    @Nested
    class Enforcing extends EnforcementContract {}

    /** {@link org.iommu4j.Iommu#takeFaults} and quarantined frames. */
    @Nested
    class Faults extends FaultContract {}

    /** {@link org.iommu4j.capability.DirtyTracking#setDirtyTracking}. */
    @Nested
    class WrittenPages extends DirtyTrackingContract {}

    /** {@link org.iommu4j.capability.DirtyTracking#readAndClearDirty}. */
    @Nested
    class ReadingWrittenPages extends DirtyReadingContract {}

    /** {@link org.iommu4j.capability.PasidAttachment#attach}. */
    @Nested
    class Pasids extends PasidContract {}

    /** {@link org.iommu4j.capability.PasidAttachment#detach}. */
    @Nested
    class DetachingPasids extends PasidDetachingContract {}

    /** {@link org.iommu4j.capability.PageRequests#enable} and what is handed out from then on. */
    @Nested
    class RequestedPages extends PageRequestContract {}

    /** {@link org.iommu4j.capability.PageRequests#take} and {@link org.iommu4j.capability.PageRequests#respond}. */
    @Nested
    class AnsweredPages extends PageResponseContract {}

    /** {@link org.iommu4j.capability.Nesting}. */
    @Nested
    class Nests extends NestingContract {}

    /** {@link org.iommu4j.capability.GuestInvalidation}. */
    @Nested
    class GuestInvalidations extends GuestInvalidationContract {}

    /** What a driver does with its ports: {@link org.iommu4j.spi.VendorContext}. */
    @Nested
    class PortUse extends PortContract {}

    /** What becomes of a driver whose ports fail, and of drivers on other platforms. */
    @Nested
    class Platforms extends PlatformContract {}

    /** {@link org.iommu4j.spi.IommuVendor#open} and {@link org.iommu4j.spi.IommuVendor#describe} on a machine. */
    @Nested
    class OpeningOnMachine extends OpeningOnMachineContract {}
}
