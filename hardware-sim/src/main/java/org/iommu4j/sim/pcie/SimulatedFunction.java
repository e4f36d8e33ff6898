// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.Objects;
import java.util.Optional;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.sim.spi.FunctionDescription;
import org.iommu4j.sim.spi.InvalidationAnswer;
import org.iommu4j.sim.spi.StateDigest;

/** A function or bridge of a machine: its address and its configuration space. */
public final class SimulatedFunction implements PciFunction {
    private final FunctionDescription description;
    private final FunctionConfig config;
    private final AddressTranslationCache deviceTlb = new AddressTranslationCache();
    private final PageRequestInterface pageRequests;

    /** Makes a function in its power-on state. */
    public SimulatedFunction(FunctionDescription description) {
        Objects.requireNonNull(description, "description");
        this.description = description;
        this.config = new FunctionConfig(description);
        this.pageRequests = new PageRequestInterface(config);
        config.connect(pageRequests, deviceTlb);
    }

    /** Returns its cache of translations. */
    AddressTranslationCache deviceTlb() {
        return deviceTlb;
    }

    /** Returns its interface for page requests. */
    PageRequestInterface pageRequests() {
        return pageRequests;
    }

    /**
     * Receives the answer to a group of page requests.
     *
     * @param pasid the PASID of the message, or {@link org.iommu4j.sim.spi.TranslationUnit#NO_PASID}
     * @param group the index of the group
     * @param code PCI Express's response code
     */
    public void takePageResponse(int pasid, int group, int code) {
        pageRequests.respond(pasid, group, code);
    }

    /**
     * Receives an ATS invalidation request.
     *
     * @param pasid 0 to 2^20 - 1, or {@link org.iommu4j.sim.spi.TranslationUnit#NO_PASID}
     * @param global whether all PASIDs are meant
     * @param address first byte, aligned to {@code size}
     * @param size bytes, a power of two of at least 4096; {@link Long#MIN_VALUE} for all
     * @param tag names the request in a later answer, 0 to 31
     * @return NEVER while its Address Translation Services are not enabled
     */
    public InvalidationAnswer invalidateTranslations(int pasid, boolean global, long address, long size, int tag) {
        if (!config.atsEnabled()) {
            return InvalidationAnswer.NEVER;
        }
        return deviceTlb.request(pasid, global, address, size, tag)
                ? InvalidationAnswer.DONE
                : InvalidationAnswer.LATER;
    }

    /** Forgets what the newest unanswered invalidation request names; returns its tag to answer, -1 without one. */
    public int nextAnswer() {
        return deviceTlb.nextAnswer();
    }

    /** Returns it to its power-on state. */
    public void reset() {
        config.reset();
        deviceTlb.reset();
        pageRequests.reset();
    }

    /** Adds all differences from the power-on state. */
    public void addTo(StateDigest digest) {
        Objects.requireNonNull(digest, "digest");
        config.addTo(digest);
        deviceTlb.addTo(digest);
        pageRequests.addTo(digest);
    }

    @Override
    public PciAddress address() {
        return description.address();
    }

    @Override
    public Optional<PciAddress> upstreamBridge() {
        return description.upstreamBridge();
    }

    @Override
    public FunctionConfig config() {
        return config;
    }

    @Override
    public boolean externalFacing() {
        return description.externalFacing();
    }

    /** Returns the name of the translation unit that its requests pass, empty when they pass none. */
    public Optional<String> unit() {
        return description.unit();
    }

    @Override
    public String toString() {
        return description.address().toString();
    }
}
