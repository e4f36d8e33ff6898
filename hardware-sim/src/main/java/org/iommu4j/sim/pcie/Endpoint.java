// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.sim.pcie;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.sim.spi.RequestFlags;
import org.iommu4j.sim.spi.Translation;
import org.iommu4j.sim.spi.TranslationUnit;
import org.jspecify.annotations.Nullable;

/**
 * A GPU-like device: it reads and writes single words, or runs a {@link DmaProgram}.
 *
 * <p>A request carries no-snoop when the device requests it and Device Control's Enable No Snoop is set; a function
 * without PCI Express capability can't send it. With Bus Master Enable clear nothing is sent. Behind a PCI Express to
 * PCI bridge a request carries the id of the bus below the bridge, device 0, function 0; behind a conventional bridge
 * the bridge's own (PCI Express to PCI/PCI-X Bridge 1.0, section 2.3).
 *
 * <p>With Address Translation Services enabled it first requests a translation of the page from the unit, and caches
 * the answer in the function's {@code AddressTranslationCache}. Then it sends translated requests, without no-snoop
 * where the answer forbids it. With the PASID capability enabled, requests carry the PASID that was set. With the Page
 * Request Interface also enabled, it sends one page request for a page without translation. The caller must repeat its
 * request once the answer has arrived.
 *
 * <p>For one thread at a time; {@link #fork} makes another requester of the same function.
 */
public final class Endpoint {
    private static final int TYPE_PCIE_TO_PCI_BRIDGE = 7;
    private static final int TYPE_PCI_TO_PCIE_BRIDGE = 8;
    private static final int CONVENTIONAL = -1;
    private static final long PAGE_SIZE = 4096;

    private final SimulatedFunction function;
    private final SimulatedFunction[] bridges;
    private final @Nullable TranslationUnit unit;
    private final RootComplex rootComplex;
    private final Tlp tlp;
    private int pasid = TranslationUnit.NO_PASID;

    /** The requester id of which {@link #mappedSourceId} is the source id, -1 before the first. */
    private int mappedRequesterId = -1;

    private int mappedSourceId;

    /**
     * Makes a device.
     *
     * @param bridges the bridges above it, the nearest first
     * @param unit the translation unit that its requests pass, null when they pass none
     */
    public Endpoint(
            SimulatedFunction function,
            List<SimulatedFunction> bridges,
            @Nullable TranslationUnit unit,
            RootComplex rootComplex) {
        Objects.requireNonNull(function, "function");
        Objects.requireNonNull(bridges, "bridges");
        Objects.requireNonNull(rootComplex, "rootComplex");
        this.function = function;
        this.bridges = bridges.toArray(new SimulatedFunction[0]);
        this.unit = unit;
        this.rootComplex = rootComplex;
        PciAddress address = function.address();
        if (!address.hasOwnRequesterId()) {
            throw new IllegalArgumentException(
                    address + " has no requester id of its own, expected a segment of at most 0xffff");
        }
        tlp = new Tlp(address.toString(), address.segment() << 16 | address.requesterId());
    }

    /**
     * Sets the PASID of all later requests.
     *
     * @param pasid 0 to 2^20 - 1, or {@link TranslationUnit#NO_PASID}; not sent while the PASID capability is not
     *     enabled
     */
    public void usePasid(int pasid) {
        this.pasid = pasid;
    }

    /** Makes another requester of the same function, with its own results, for a second thread. */
    public Endpoint fork() {
        return new Endpoint(function, List.of(bridges), unit, rootComplex);
    }

    /** Returns its address. */
    public PciAddress address() {
        return function.address();
    }

    /** Returns its configuration space. */
    public FunctionConfig config() {
        return function.config();
    }

    /**
     * Reads a word.
     *
     * @param iova untranslated address, aligned to 8
     * @param noSnoop whether no-snoop is requested
     * @return the value; all ones when the request was refused, see {@link #lastStatus}
     */
    public long read(long iova, boolean noSnoop) {
        send(iova, RequestFlags.READ, noSnoop);
        return tlp.data;
    }

    /**
     * Writes a word.
     *
     * @param iova untranslated address, aligned to 8
     * @param noSnoop whether no-snoop is requested
     * @return whether it was accepted, also as an interrupt or by the unit itself; see {@link #lastStatus}
     */
    public boolean write(long iova, long value, boolean noSnoop) {
        tlp.data = value;
        send(iova, RequestFlags.WRITE, noSnoop);
        return tlp.status.isAccepted();
    }

    /**
     * Writes 4 bytes, as an interrupt message does.
     *
     * @param iova untranslated address, aligned to 4
     * @return whether it was accepted, also as an interrupt or by the unit itself; see {@link #lastStatus}
     */
    public boolean write32(long iova, int value) {
        tlp.data = Integer.toUnsignedLong(value);
        send(iova, RequestFlags.WRITE, false, Integer.BYTES);
        return tlp.status.isAccepted();
    }

    /**
     * Has the function answer invalidation requests later, the newest first, each when the machine has no other work;
     * until it is reset, it answers at once.
     */
    public void answerInvalidationsLater(boolean late) {
        function.deviceTlb().answerLater(late);
    }

    /** Returns the status of the last request. */
    public RequestStatus lastStatus() {
        return tlp.status;
    }

    /** Returns the translation unit's fault code of the last request, 0 when it did not refuse it. */
    public int lastFault() {
        return tlp.fault;
    }

    /** Returns the requester id that this device's requests carry when they reach the root complex. */
    public int requesterId() {
        int id = function.address().requesterId();
        for (SimulatedFunction bridge : bridges) {
            int type = bridge.config().pciExpressType();
            if (type == TYPE_PCIE_TO_PCI_BRIDGE) {
                id = bridge.config().secondaryBus() << 8;
            } else if (type == TYPE_PCI_TO_PCIE_BRIDGE || type == CONVENTIONAL) {
                id = bridge.address().requesterId();
            }
        }
        return id;
    }

    /** Returns the source id with which this device's requests reach the unit; without a unit the requester id. */
    public int sourceId() {
        int id = requesterId();
        if (unit == null) {
            return id;
        }
        if (id != mappedRequesterId) {
            mappedSourceId = unit.spec().sourceId(function.address().segment(), id);
            mappedRequesterId = id;
        }
        return mappedSourceId;
    }

    /** Runs a program up to its end or its first refused request. */
    public DmaProgram.Result run(DmaProgram program) {
        List<Long> values = new ArrayList<>();
        int completed = 0;
        for (DmaProgram.Step step : program.steps()) {
            if (!run(step, values)) {
                break;
            }
            completed++;
        }
        return new DmaProgram.Result(completed, values);
    }

    private boolean run(DmaProgram.Step step, List<Long> values) {
        if (step instanceof DmaProgram.Read read) {
            for (int word = 0; word < read.words(); word++) {
                long value = read(read.iova() + word * 8L, read.noSnoop());
                if (!tlp.status.isAccepted()) {
                    return false;
                }
                values.add(value);
            }
        } else if (step instanceof DmaProgram.Write write) {
            for (int word = 0; word < write.words(); word++) {
                if (!write(write.iova() + word * 8L, write.value(), write.noSnoop())) {
                    return false;
                }
            }
        } else if (step instanceof DmaProgram.Copy copy) {
            for (int word = 0; word < copy.words(); word++) {
                long value = read(copy.from() + word * 8L, copy.noSnoop());
                if (!tlp.status.isAccepted() || !write(copy.to() + word * 8L, value, copy.noSnoop())) {
                    return false;
                }
            }
        }
        return true;
    }

    private boolean bridgesPass() {
        for (SimulatedFunction bridge : bridges) {
            if (!bridge.config().busMasterEnabled()) {
                return false;
            }
        }
        return true;
    }

    private void send(long iova, int flags, boolean noSnoop) {
        send(iova, flags, noSnoop, Long.BYTES);
    }

    private void send(long iova, int flags, boolean noSnoop, int bytes) {
        tlp.begin(iova, flags, bytes);
        tlp.noSnoopWished = noSnoop;
        FunctionConfig config = function.config();
        if (!config.busMasterEnabled()) {
            rootComplex.refuse(tlp, RequestStatus.BUS_MASTER_DISABLED);
            return;
        }
        tlp.noSnoop = noSnoop && config.noSnoopEnabled();
        tlp.relaxedOrdering = config.relaxedOrderingEnabled();
        if (!bridgesPass()) {
            rootComplex.refuse(tlp, RequestStatus.UNSUPPORTED_REQUEST);
            return;
        }
        tlp.sourceId = sourceId();
        tlp.pasid = config.pasidEnabled() ? pasid : TranslationUnit.NO_PASID;
        if (unit != null && config.atsEnabled() && !rootComplex.isInterrupt(iova)) {
            RequestStatus status = translateFirst(unit);
            if (status != RequestStatus.DONE) {
                rootComplex.refuse(tlp, status);
                return;
            }
        }
        rootComplex.handle(tlp, unit);
    }

    /**
     * Requests pages in one group, all at once, whether or not they are present.
     *
     * @param write whether the access is a write, otherwise a read
     * @param iovas untranslated addresses anywhere in the pages, at least one
     * @return whether the requests were sent: the interface is on and has the credit, and nothing on the way stops the
     *     messages
     */
    public boolean requestPages(boolean write, long... iovas) {
        Objects.requireNonNull(iovas, "iovas");
        if (iovas.length == 0) {
            throw new IllegalArgumentException("device " + function.address() + " can't send a request without pages");
        }
        FunctionConfig config = function.config();
        if (unit == null || !config.busMasterEnabled() || !bridgesPass()) {
            return false;
        }
        int requestPasid = config.pasidEnabled() ? pasid : TranslationUnit.NO_PASID;
        return ask(unit, requestPasid, write, iovas);
    }

    private boolean ask(TranslationUnit translator, int requestPasid, boolean write, long... iovas) {
        long[] pages = new long[iovas.length];
        for (int i = 0; i < pages.length; i++) {
            pages[i] = iovas[i] & -PAGE_SIZE;
        }
        int group = function.pageRequests().begin(requestPasid, write, pages);
        if (group == PageRequestInterface.NONE) {
            return false;
        }
        for (int i = 0; i < pages.length; i++) {
            rootComplex.notePageRequest(tlp, pages[i]);
            int last = i == pages.length - 1 ? RequestFlags.LAST : 0;
            translator.requestPage(sourceId(), requestPasid, pages[i], RequestFlags.readOrWrite(write) | last, group);
        }
        return true;
    }

    /** Returns the response code of the last answer to a page request of the function's, -1 before the first. */
    public int lastPageResponse() {
        return function.pageRequests().lastResponse();
    }

    /**
     * Requests the translation unless it is cached, and the page when the unit grants nothing; DONE when there is a
     * translation.
     */
    private RequestStatus translateFirst(TranslationUnit translator) {
        AddressTranslationCache known = function.deviceTlb();
        long translation = known.lookup(tlp.pasid, tlp.address, tlp.writes());
        if (Translation.isFault(translation)) {
            translation = translator.requestTranslation(tlp.sourceId, tlp.pasid, tlp.address, tlp.flags);
            if (Translation.isFault(translation)) {
                tlp.fault = Translation.faultCode(translation);
                return translation == TranslationUnit.NOT_TRANSLATED
                                && function.config().pageRequestsEnabled()
                        ? awaitPage(translator)
                        : RequestStatus.TRANSLATION_FAULT;
            }
            known.fill(tlp.pasid, tlp.address, tlp.writes(), translation);
        }
        tlp.translated = true;
        tlp.translatedAddress = Translation.address(translation);
        tlp.noSnoop &= !Translation.snoopForced(translation);
        return RequestStatus.DONE;
    }

    private RequestStatus awaitPage(TranslationUnit translator) {
        if (!function.pageRequests().awaits(tlp.pasid, tlp.address & -PAGE_SIZE, tlp.writes())) {
            ask(translator, tlp.pasid, tlp.writes(), tlp.address);
        }
        return RequestStatus.PAGE_AWAITED;
    }
}
