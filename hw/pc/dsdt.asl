/*
 * The board's devices as ACPI describes them (ACPI 6.4, chapters 6, 9 and 19), compiled by iasl when
 * tinamou is built.
 *
 * hw/pc/acpi.c fills in the three names PRES, HOLE and PMIO, which it finds by their encoding: a NameOp, the
 * name, a DWordPrefix and the value 0x12345678.  ORDER: acpi-presence - the bits of PRES are those of
 * hw/pc/acpi.c.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 1, "TINAMO", "TINAMPC ", 1)
{
    Name (PRES, 0x12345678)         /* which of the ISA devices below there are */
    Name (HOLE, 0x12345678)         /* where PCI memory begins: above RAM */
    Name (PMIO, 0x12345678)         /* where the firmware has put the ACPI registers */

    Name (\_S5, Package () { 0, 0, 0, 0 })      /* SUS_TYP of soft-off (82371AB, 7.2.3) */

    /* Which interrupt controller the system uses.  Both get the same lines, so that it changes nothing. */
    Name (PICM, 0)
    Method (\_PIC, 1) { Store (Arg0, PICM) }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_BBN, 0)
            Name (_UID, 0)

            Name (CRES, ResourceTemplate ()
            {
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0xe0000000, 0xfebfffff, 0, 0x1ec00000)
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xff, 0, 0x100)
                IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x0000, 0x0cf7, 0, 0x0cf8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                        0, 0x0d00, 0xffff, 0, 0xf300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                             0, 0x000a0000, 0x000bffff, 0, 0x00020000)
            })
            Method (_CRS, 0, Serialized)
            {
                CreateDWordField (CRES, 10, PMIN)       /* in the first descriptor: 6.4.3.5.2 */
                CreateDWordField (CRES, 14, PMAX)
                CreateDWordField (CRES, 22, PLEN)
                Store (HOLE, PMIN)
                Add (Subtract (PMAX, PMIN), 1, PLEN)
                Return (CRES)
            }

            /* INTA of slot n goes to PIRQ (n - 1) mod 4, the other pins to the next ones: hw/pci/piix3.c. */
            #define SLOT(n, a, b, c, d) \
                Package () { n, 0, a, 0 }, Package () { n, 1, b, 0 }, \
                Package () { n, 2, c, 0 }, Package () { n, 3, d, 0 }
            #define FOUR(s0, s1, s2, s3) \
                SLOT (s0, LNKD, LNKA, LNKB, LNKC), SLOT (s1, LNKA, LNKB, LNKC, LNKD), \
                SLOT (s2, LNKB, LNKC, LNKD, LNKA), SLOT (s3, LNKC, LNKD, LNKA, LNKB)
            Name (_PRT, Package ()
            {
                FOUR (0x0000ffff, 0x0001ffff, 0x0002ffff, 0x0003ffff),
                FOUR (0x0004ffff, 0x0005ffff, 0x0006ffff, 0x0007ffff),
                FOUR (0x0008ffff, 0x0009ffff, 0x000affff, 0x000bffff),
                FOUR (0x000cffff, 0x000dffff, 0x000effff, 0x000fffff),
                FOUR (0x0010ffff, 0x0011ffff, 0x0012ffff, 0x0013ffff),
                FOUR (0x0014ffff, 0x0015ffff, 0x0016ffff, 0x0017ffff),
                FOUR (0x0018ffff, 0x0019ffff, 0x001affff, 0x001bffff),
                FOUR (0x001cffff, 0x001dffff, 0x001effff, 0x001fffff)
            })

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRQ, PCI_Config, 0x60, 4)
                Field (PIRQ, ByteAcc, NoLock, Preserve) { PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8 }

                #define HAVE(bit) \
                    Method (_STA) { If (And (PRES, bit)) { Return (0x0f) } Return (0) }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x20, 0x20, 1, 2)
                        IO (Decode16, 0xa0, 0xa0, 1, 2)
                        IO (Decode16, 0x4d0, 0x4d0, 1, 2)
                        IRQNoFlags () { 2 }
                    })
                }
                Device (TIMR)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x40, 0x40, 1, 4)
                        IRQNoFlags () { 0 }
                    })
                }
                Device (DMAC)
                {
                    Name (_HID, EisaId ("PNP0200"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x00, 0x00, 1, 0x10)
                        IO (Decode16, 0x81, 0x81, 1, 0x0f)
                        IO (Decode16, 0xc0, 0xc0, 1, 0x20)
                        DMA (Compatibility, NotBusMaster, Transfer8) { 4 }
                    })
                }
                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x70, 0x70, 1, 2)
                        IRQNoFlags () { 8 }
                    })
                }
                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x61, 0x61, 1, 1) })
                }
                Device (FPU)
                {
                    Name (_HID, EisaId ("PNP0C04"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0xf0, 0xf0, 1, 1)
                        IRQNoFlags () { 13 }
                    })
                }
                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1)
                        IO (Decode16, 0x64, 0x64, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
                Device (FDC0)
                {
                    Name (_HID, EisaId ("PNP0700"))
                    HAVE (0x80)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x3f2, 0x3f2, 0, 4)
                        IO (Decode16, 0x3f7, 0x3f7, 0, 1)
                        IRQNoFlags () { 6 }
                        DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
                    })
                }

                #define COM(name, uid, bit, port, irq) \
                    Device (name) \
                    { \
                        Name (_HID, EisaId ("PNP0501")) \
                        Name (_UID, uid) \
                        HAVE (bit) \
                        Name (_CRS, ResourceTemplate () \
                        { \
                            IO (Decode16, port, port, 8, 8) \
                            IRQNoFlags () { irq } \
                        }) \
                    }
                COM (COM1, 1, 0x01, 0x3f8, 4)
                COM (COM2, 2, 0x02, 0x2f8, 3)
                COM (COM3, 3, 0x04, 0x3e8, 4)
                COM (COM4, 4, 0x08, 0x2e8, 3)

                #define LPT(name, uid, bit, port, irq) \
                    Device (name) \
                    { \
                        Name (_HID, EisaId ("PNP0400")) \
                        Name (_UID, uid) \
                        HAVE (bit) \
                        Name (_CRS, ResourceTemplate () \
                        { \
                            IO (Decode16, port, port, 4, 4) \
                            IRQNoFlags () { irq } \
                        }) \
                    }
                LPT (LPT1, 1, 0x10, 0x378, 7)
                LPT (LPT2, 2, 0x20, 0x278, 5)
                LPT (LPT3, 3, 0x40, 0x3bc, 7)

                /* Ports of the board itself, that no driver may give away. */
                Device (MBRD)
                {
                    Name (_HID, EisaId ("PNP0C02"))
                    Name (CRES, ResourceTemplate ()
                    {
                        IO (Decode16, 0x600, 0x600, 1, 0x40)
                        IO (Decode16, 0x92, 0x92, 1, 1)
                        IO (Decode16, 0xb2, 0xb2, 1, 2)
                        IO (Decode16, 0x510, 0x510, 1, 0x0c)
                    })
                    Method (_CRS, 0, Serialized)
                    {
                        CreateWordField (CRES, 2, PMIN)         /* in the first descriptor: 6.4.2.5 */
                        CreateWordField (CRES, 4, PMAX)
                        Store (PMIO, PMIN)
                        Store (PMIO, PMAX)
                        Return (CRES)
                    }
                }
            }

            /* The IDE channels, so that drivers know that they are there. */
            Device (IDE0)
            {
                Name (_ADR, 0x00010001)
            }
        }

        /* PIRQA-D.  The lines are active high, unlike PCI's: PIIX3 has inverted them. */
        #define LINK(name, uid, reg) \
            Device (name) \
            { \
                Name (_HID, EisaId ("PNP0C0F")) \
                Name (_UID, uid) \
                Name (_PRS, ResourceTemplate () \
                { \
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 5, 10, 11 } \
                }) \
                Name (CRES, ResourceTemplate () \
                { \
                    Interrupt (ResourceConsumer, Level, ActiveHigh, Shared) { 0 } \
                }) \
                Method (_STA) \
                { \
                    If (And (\_SB.PCI0.ISA.reg, 0x80)) { Return (0x09) } \
                    Return (0x0b) \
                } \
                Method (_DIS) { Or (\_SB.PCI0.ISA.reg, 0x80, \_SB.PCI0.ISA.reg) } \
                Method (_CRS, 0, Serialized) \
                { \
                    CreateDWordField (CRES, 5, LINE) \
                    And (\_SB.PCI0.ISA.reg, 0x0f, LINE) \
                    If (And (\_SB.PCI0.ISA.reg, 0x80)) { Store (0, LINE) } \
                    Return (CRES) \
                } \
                Method (_SRS, 1, Serialized) \
                { \
                    CreateDWordField (Arg0, 5, LINE) \
                    And (LINE, 0x0f, \_SB.PCI0.ISA.reg) \
                } \
            }
        LINK (LNKA, 0, PRQA)
        LINK (LNKB, 1, PRQB)
        LINK (LNKC, 2, PRQC)
        LINK (LNKD, 3, PRQD)
    }
}
